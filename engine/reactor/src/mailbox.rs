//! Bounded one-to-one queues between threads, the receiving end being a reactor's owner. Many
//! senders to one receiver are many mailboxes: one ring for each pair, so no two threads write to
//! one cache line.

use rtrb::{Consumer, Producer, PushError, RingBuffer};

use crate::Waker;

/// The sending end.
#[derive(Debug)]
pub struct Sender<T> {
    queue: Producer<T>,
    waker: Waker,
    refused: u64,
}

/// The receiving end, polled once a turn.
#[derive(Debug)]
pub struct Receiver<T> {
    queue: Consumer<T>,
}

/// A queue of at most `capacity` letters to the thread that `waker` wakes.
pub fn mailbox<T>(capacity: usize, waker: Waker) -> (Sender<T>, Receiver<T>) {
    let (producer, consumer) = RingBuffer::new(capacity);
    (
        Sender {
            queue: producer,
            waker,
            refused: 0,
        },
        Receiver { queue: consumer },
    )
}

impl<T> Sender<T> {
    /// Puts a letter in and wakes the receiver if it sleeps.
    ///
    /// # Errors
    /// The letter itself, when the box is full: the receiver is behind or gone. Counted.
    pub fn send(&mut self, letter: T) -> Result<(), T> {
        match self.queue.push(letter) {
            Ok(()) => {
                self.waker.wake();
                Ok(())
            }
            Err(PushError::Full(letter)) => {
                self.refused += 1;
                Err(letter)
            }
        }
    }

    /// Letters that found the box full.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Letters that fit at this moment.
    pub fn room(&self) -> usize {
        self.queue.slots()
    }

    /// The receiving end is gone; nothing sent from now on is ever read.
    pub fn is_abandoned(&self) -> bool {
        self.queue.is_abandoned()
    }
}

impl<T> Receiver<T> {
    /// The oldest letter.
    pub fn receive(&mut self) -> Option<T> {
        self.queue.pop().ok()
    }

    /// Letters waiting at this moment.
    pub fn waiting(&self) -> usize {
        self.queue.slots()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_arrive_in_order_and_wake() {
        let waker = Waker::new().unwrap();
        let (mut sender, mut receiver) = mailbox(4, waker.clone());
        sender.send(1).unwrap();
        sender.send(2).unwrap();
        assert!(waker.take());
        assert_eq!(receiver.waiting(), 2);
        assert_eq!(
            [receiver.receive(), receiver.receive(), receiver.receive()],
            [Some(1), Some(2), None]
        );
    }

    #[test]
    fn a_full_box_gives_the_letter_back_and_counts() {
        let (mut sender, mut receiver) = mailbox(1, Waker::new().unwrap());
        assert_eq!(sender.room(), 1);
        sender.send("first").unwrap();
        assert_eq!(sender.send("second"), Err("second"));
        assert_eq!(sender.refused(), 1);
        assert_eq!(receiver.receive(), Some("first"));
        assert_eq!(sender.send("third"), Ok(()));
        drop(receiver);
        assert!(sender.is_abandoned());
    }
}
