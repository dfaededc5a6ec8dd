//! Telling a control: in order for each user, again when it does not answer.

use std::net::SocketAddr;

use router::{LocationCause, LocationChange};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::location::tests::registration;
use crate::notifier::Notifier;

struct Control {
    listener: TcpListener,
    address: SocketAddr,
    open: Option<BufReader<TcpStream>>,
}

impl Control {
    async fn new() -> Control {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        Control {
            listener,
            address,
            open: None,
        }
    }

    /// The next request's line and body, answered with this status.
    async fn next(&mut self, status: &str) -> (String, String) {
        loop {
            let mut stream = match self.open.take() {
                Some(stream) => stream,
                None => BufReader::new(self.listener.accept().await.expect("a client").0),
            };
            let mut start = String::new();
            if stream.read_line(&mut start).await.unwrap_or(0) == 0 {
                continue;
            }
            let mut length = 0;
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).await.expect("a header");
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a number");
                }
                if line == "\r\n" {
                    break;
                }
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await.expect("a body");
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.expect("answered");
            self.open = Some(stream);
            let start = start.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
            return (start, String::from_utf8(body).expect("text"));
        }
    }
}

fn change(user: &str, contacts: u16) -> LocationChange {
    let cause = match contacts {
        0 => LocationCause::Unregistered,
        _ => LocationCause::Refreshed,
    };
    LocationChange {
        registration: registration(user, "example.com", 1, contacts),
        cause,
    }
}

#[tokio::test]
async fn a_user_is_told_of_in_order_and_again_after_an_error() {
    let mut control = Control::new().await;
    let url = format!("http://{}/base", control.address);
    let mut notifier = Notifier::new();
    for contacts in [1, 0, 1] {
        notifier.tell(&url, &change("1003", contacts));
    }
    let put = "PUT /base/reg/example.com/1003".to_owned();
    let told = control.next("500 Oops").await;
    assert_eq!(told.0, put);
    let again = control.next("200 OK").await;
    assert_eq!(
        again,
        (
            put.clone(),
            r#"{"host":"192.0.2.1","port":1,"agent":"phone"}"#.into()
        )
    );
    let gone = control.next("404 Not Found").await;
    assert_eq!(
        gone,
        ("DELETE /base/reg/example.com/1003".into(), String::new())
    );
    assert_eq!(
        control.next("204 No Content").await.0,
        put,
        "a refusal is not told again"
    );
}

#[tokio::test]
async fn a_control_that_does_not_answer_holds_nobody_up() {
    let control = Control::new().await;
    let url = format!("http://{}", control.address);
    let mut notifier = Notifier::new();
    // Far more than the queues hold; nothing here waits.
    (0..100_000).for_each(|_| notifier.tell(&url, &change("1003", 1)));
    assert_eq!(notifier.waiting(), 8_192);
}
