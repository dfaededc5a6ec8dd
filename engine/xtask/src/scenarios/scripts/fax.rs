//! T.38 through the router: a gateway turns its audio stream into an image stream, udptl packets pass, and
//! audio comes back (ITU-T T.38 D.2; RFC 3264).

use super::Stage;
use super::talk::{Side, Talk, Terms, UDPTL};
use crate::failure::{Failure, check};
use crate::sdp;

/// The callee's gateway hears a fax tone and re-INVITEs with image/udptl; packets that are no RTP pass both
/// ways; the description's attributes are untouched; then the call goes back to audio.
pub(super) fn t38(stage: &Stage<'_>) -> Result<(), Failure> {
    let mut talk = Talk::start(stage)?;
    talk.talk("before the fax", &[])?;
    let offer = Terms::of(&[sdp::fax(talk.callee.address.port())]).version(2);
    let answer = Terms::of(&[sdp::fax(talk.caller.address.port())]).version(2);
    talk.renegotiate(Side::Callee, &offer, &answer)?;
    for side in [Side::Caller, Side::Callee] {
        let stream = talk.stream(side)?;
        let whole = stream.kind() == "image" && stream.formats() == ["t38"];
        let attributes: Vec<&str> = sdp::FAX
            .iter()
            .copied()
            .filter(|line| !stream.has(line))
            .collect();
        check(whole && attributes.is_empty(), || {
            format!("{} got {:?}", side.name(), stream.lines)
        })?;
        let ports = [talk.caller.address.port(), talk.callee.address.port()];
        check(!ports.contains(&stream.port()), || {
            "an agent's own port passed in the image stream".into()
        })?;
    }
    for side in [Side::Caller, Side::Callee] {
        talk.carry(side, UDPTL, &format!("page of the {}", side.name()))?;
    }
    let (offer, answer) = (
        Terms::audio(&talk.callee, &[]).version(3),
        Terms::audio(&talk.caller, &[]).version(3),
    );
    talk.renegotiate(Side::Callee, &offer, &answer)?;
    talk.talk("after the fax", &[])?;
    talk.hang_up()
}
