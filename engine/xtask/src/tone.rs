//! Tones as the softphones play and record them: WAV files of 16 bit mono, and how much of a recording is one
//! frequency (Goertzel's algorithm). Nothing here knows of calls.

use crate::failure::{Failure, check};
use std::f64::consts::TAU;
use std::path::Path;

/// Samples per second of what is written.
const RATE: u32 = 8000;
/// Bytes of a WAV header as it is written here.
const HEADER_BYTES: u32 = 44;

/// Sound: its rate and its samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sound {
    rate: u32,
    samples: Vec<i16>,
}

impl Sound {
    /// A tone of `hertz`, a third of full scale, for `seconds`.
    pub(crate) fn tone(hertz: u32, seconds: u32) -> Sound {
        let sample = |n: u32| {
            let angle = TAU * f64::from(hertz) * f64::from(n) / f64::from(RATE);
            #[allow(clippy::cast_possible_truncation, reason = "10,000 fits")]
            let level = (angle.sin() * 10_000.0) as i16;
            level
        };
        Sound {
            rate: RATE,
            samples: (0..RATE * seconds).map(sample).collect(),
        }
    }

    /// How long it lasts.
    pub(crate) fn seconds(&self) -> f64 {
        self.samples.len() as f64 / f64::from(self.rate.max(1))
    }

    /// The part of its energy, 0 to 1, that is a tone of `hertz`. It is measured in pieces of 20 ms and added
    /// up, since packets that come late turn the phase.
    pub(crate) fn share(&self, hertz: u32) -> f64 {
        let piece = usize::try_from(self.rate / 50).unwrap_or(1).max(1);
        let turn = TAU * f64::from(hertz) / f64::from(self.rate.max(1));
        let pieces = self.samples.chunks_exact(piece);
        let in_tone: f64 = pieces.clone().map(|part| goertzel(part, turn)).sum();
        let in_all: f64 = pieces.flatten().map(|s| f64::from(*s).powi(2)).sum();
        if in_all > 0.0 { in_tone / in_all } else { 0.0 }
    }

    /// Reads a WAV file of 16 bit samples; of several channels the first counts.
    pub(crate) fn read(path: &Path) -> Result<Sound, Failure> {
        let what = format!("cannot read {}", path.display());
        let bytes = std::fs::read(path).map_err(Failure::machine(what))?;
        Sound::parse(&bytes)
            .ok_or_else(|| Failure::Check(format!("{} is no WAV of 16 bits", path.display())))
    }

    /// Writes a WAV file.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Failure> {
        let what = format!("cannot write {}", path.display());
        std::fs::write(path, self.print()).map_err(Failure::machine(what))
    }

    /// Fails unless at least half of it is a tone of `hertz` and it lasts `seconds`.
    pub(crate) fn must_be(&self, hertz: u32, seconds: f64) -> Result<(), Failure> {
        let (share, lasts) = (self.share(hertz), self.seconds());
        check(share > 0.5 && lasts >= seconds, || {
            format!("heard {lasts:.1} s, of which {share:.2} is {hertz} Hz")
        })
    }

    fn print(&self) -> Vec<u8> {
        let data = u32::try_from(self.samples.len() * 2).unwrap_or(u32::MAX);
        let mut bytes = b"RIFF".to_vec();
        bytes.extend((HEADER_BYTES - 8 + data).to_le_bytes());
        bytes.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
        bytes.extend(self.rate.to_le_bytes());
        bytes.extend((self.rate * 2).to_le_bytes());
        bytes.extend(b"\x02\0\x10\0data");
        bytes.extend(data.to_le_bytes());
        bytes.extend(self.samples.iter().flat_map(|sample| sample.to_le_bytes()));
        bytes
    }

    fn parse(bytes: &[u8]) -> Option<Sound> {
        let format = chunk(bytes, b"fmt ")?;
        let channels = u16::from_le_bytes(format.get(2..4)?.try_into().ok()?);
        let rate = u32::from_le_bytes(format.get(4..8)?.try_into().ok()?);
        if format.get(14..16)? != [16, 0] || channels == 0 {
            return None;
        }
        let frames = chunk(bytes, b"data")?.chunks_exact(2 * usize::from(channels));
        let samples = frames.map(|frame| i16::from_le_bytes([frame[0], frame[1]]));
        Some(Sound {
            rate,
            samples: samples.collect(),
        })
    }
}

/// The energy of a tone that turns by `turn` each sample, in the units of the sum of squares.
fn goertzel(samples: &[i16], turn: f64) -> f64 {
    let factor = 2.0 * turn.cos();
    let (mut one, mut two) = (0.0, 0.0);
    for sample in samples {
        (one, two) = (f64::from(*sample) + factor * one - two, one);
    }
    let power = one * one + two * two - factor * one * two;
    2.0 * power / samples.len().max(1) as f64
}

/// The content of a RIFF chunk. A recorder that was killed may have left a wrong length: then the rest counts.
fn chunk<'a>(bytes: &'a [u8], name: &[u8; 4]) -> Option<&'a [u8]> {
    let mut at = 12;
    loop {
        let head = bytes.get(at..at + 8)?;
        let length = usize::try_from(u32::from_le_bytes(head[4..8].try_into().ok()?)).ok()?;
        let rest = &bytes[at + 8..];
        if head.starts_with(name) {
            let whole = length > 0 && length <= rest.len();
            return Some(if whole { &rest[..length] } else { rest });
        }
        at += 8 + length + length % 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_is_itself_and_no_other() {
        let tone = Sound::tone(440, 1);
        assert!(tone.share(440) > 0.95, "{}", tone.share(440));
        assert!(tone.share(880) < 0.05, "{}", tone.share(880));
        assert!(tone.must_be(440, 0.9).is_ok());
        assert!(tone.must_be(880, 0.9).is_err());
        assert!(tone.must_be(440, 1.1).is_err(), "too short");
    }

    #[test]
    fn a_tone_with_gaps_is_still_heard() {
        let mut tone = Sound::tone(880, 1);
        tone.samples.drain(1003..1777);
        tone.samples[4000..5000].fill(0);
        assert!(tone.share(880) > 0.8, "{}", tone.share(880));
    }

    #[test]
    fn silence_has_no_tone() {
        let silence = Sound {
            rate: RATE,
            samples: vec![0; 8000],
        };
        assert!(silence.share(440) < f64::EPSILON);
    }

    #[test]
    fn a_file_reads_back() {
        let tone = Sound::tone(440, 1);
        assert_eq!(Sound::parse(&tone.print()), Some(tone.clone()));
        let mut unfinished = tone.print();
        unfinished[40..44].fill(0);
        assert_eq!(Sound::parse(&unfinished), Some(tone));
    }

    #[test]
    fn what_is_no_wav_is_none() {
        assert_eq!(Sound::parse(b"RIFF"), None);
        assert_eq!(Sound::parse(&[0; 100]), None);
    }
}
