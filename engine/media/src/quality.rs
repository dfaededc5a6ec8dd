//! An estimate of how a stream sounds: the E-model of ITU-T G.107 with its defaults, from loss, delay
//! and codec. Nothing is measured here.
//!
//! R = 93.2 - Id - Ie,eff, where 93.2 is what the defaults of G.107 (7.7) leave of R0 - Is (94.77 - 1.41).
//! Id is the two-line fit of Cole and Rosenbluth ("Voice over IP performance monitoring", 2001) to the
//! delay impairments of G.107. Ie,eff is that of G.107 7.5, Ie + (95 - Ie) Ppl / (Ppl / BurstR + Bpl),
//! for random loss: BurstR = 1.
//!
//! The three formulas and the one of Annex B, 93.2, Bpl 25.1 of G.711 with concealment (Table I.3 of G.113
//! Appendix I), and Ie 11 with Bpl 19 of G.729A with voice activity detection were checked against several
//! published implementations that name those places; the text of the Recommendations was not at hand. What
//! packet length G.113 has these figures for, and how they change with it, could not be confirmed: they are
//! taken for every length.

/// Below so many packets the estimate would be of chance.
pub(crate) const PACKETS_MIN: u64 = 50;

/// Framing and look-ahead of a usual codec, in milliseconds: what passes between mouth and first packet.
const PACKETIZATION_MS: f32 = 20.0;

/// Equipment impairment of a codec and its robustness against loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Codec {
    /// Ie of ITU-T G.113 Appendix I.
    impairment: f32,
    /// Bpl of the same.
    robustness: f32,
}

/// G.113 Appendix I: G.711 with the loss concealment of its own Appendix I.
const G711: Codec = Codec {
    impairment: 0.0,
    robustness: 25.1,
};

/// G.113 Appendix I: G.729A with voice activity detection.
const G729: Codec = Codec {
    impairment: 11.0,
    robustness: 19.0,
};

impl Codec {
    /// The codec behind a payload type, as far as it shows. G.722 and Opus (the dynamic types of 48000
    /// Hz, RFC 7587) have no figures on the narrow-band scale of G.113; we take those of G.711, so
    /// that loss and delay count and the wider band does not. Others are not known: `None`.
    pub(crate) fn of(payload_type: u8, rate: u32) -> Option<Codec> {
        match (payload_type, rate) {
            (0 | 8 | 9, _) => Some(G711),
            (18, _) => Some(G729),
            (96..=127, 48_000) => Some(G711),
            _ => None,
        }
    }
}

/// What a stream went through.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path {
    /// Lost packets of those expected, 0 to 1.
    pub(crate) loss: f32,
    /// One way through the network, in milliseconds.
    pub(crate) network_ms: f32,
    /// Interarrival jitter in milliseconds.
    pub(crate) jitter_ms: f32,
}

/// The mean opinion score of a path, 1 to 4.5.
pub(crate) fn opinion(codec: Codec, path: Path) -> f32 {
    opinion_of_rating(rating(codec, path))
}

fn rating(codec: Codec, path: Path) -> f32 {
    // A jitter buffer of usual make holds about twice the mean deviation.
    let delay_ms = path.network_ms + 2.0 * path.jitter_ms + PACKETIZATION_MS;
    93.2 - delay_impairment(delay_ms) - loss_impairment(codec, path.loss)
}

fn delay_impairment(delay_ms: f32) -> f32 {
    0.024 * delay_ms + 0.11 * (delay_ms - 177.3).max(0.0)
}

fn loss_impairment(codec: Codec, loss: f32) -> f32 {
    let percent = loss.clamp(0.0, 1.0) * 100.0;
    codec.impairment + (95.0 - codec.impairment) * percent / (percent + codec.robustness)
}

/// G.107 Annex B.
fn opinion_of_rating(rating: f32) -> f32 {
    if rating >= 100.0 {
        return 4.5;
    }
    let rating = rating.max(0.0);
    let opinion = 1.0 + 0.035 * rating + rating * (rating - 60.0) * (100.0 - rating) * 7e-6;
    opinion.clamp(1.0, 4.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLEAN: Path = Path {
        loss: 0.0,
        network_ms: 0.0,
        jitter_ms: 0.0,
    };

    fn near(value: f32, expected: f32) -> bool {
        (value - expected).abs() < 0.02
    }

    #[test]
    fn a_clean_path_sounds_as_the_codec_lets_it() {
        assert!(near(opinion(G711, CLEAN), 4.40));
        assert!(near(opinion(G729, CLEAN), 4.09));
    }

    #[test]
    fn rating_and_opinion_agree_with_annex_b() {
        // G.107 Annex B, table B.1: the lower limits of R and their MOS.
        for (rating, mos) in [
            (90.0, 4.34),
            (80.0, 4.03),
            (70.0, 3.60),
            (60.0, 3.10),
            (50.0, 2.58),
        ] {
            assert!(near(opinion_of_rating(rating), mos), "{rating}");
        }
        assert_eq!(opinion_of_rating(-5.0), 1.0);
        assert_eq!(opinion_of_rating(120.0), 4.5);
    }

    #[test]
    fn loss_delay_and_jitter_each_cost() {
        let clean = opinion(G711, CLEAN);
        let worse = [
            Path {
                loss: 0.02,
                ..CLEAN
            },
            Path {
                network_ms: 200.0,
                ..CLEAN
            },
            Path {
                jitter_ms: 100.0,
                ..CLEAN
            },
        ];
        for path in worse {
            assert!(opinion(G711, path) < clean - 0.1);
        }
        // 95 * 2 / (2 + 25.1) = 7.01
        assert!(near(loss_impairment(G711, 0.02), 7.01));
        assert!(opinion(G711, Path { loss: 1.0, ..CLEAN }) < 1.5);
    }

    #[test]
    fn codecs_are_known_by_type_and_rate() {
        for (payload_type, rate, codec) in [
            (0, 8000, Some(G711)),
            (18, 8000, Some(G729)),
            (111, 48_000, Some(G711)),
            (101, 8000, None),
            (96, 90_000, None),
            (34, 90_000, None),
        ] {
            assert_eq!(Codec::of(payload_type, rate), codec);
        }
    }
}
