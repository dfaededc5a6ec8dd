//! Dialogs (RFC 3261 12): identity, route set, remote target and CSeq spaces of one peer-to-peer
//! relation. What a dialog *means* (calls, subscriptions) is the transaction user's business.
//!
//! All strings of a dialog live in one pooled block, in the order they are printed: a held call pays
//! for its own text and one struct per leg.

use smallvec::SmallVec;
use thiserror::Error;
use wire::{HeaderName, Message, NameAddr, ParseError, Span, Uri, Values, print};

use crate::pool::{Block, Pool};

/// Where a dialog stands (RFC 3261 12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialogState {
    /// The UAC has sent its request; no tagged answer has come, so there is no dialog yet.
    Initial,
    /// Created by a tagged 101-199.
    Early,
    /// Created or confirmed by a 2xx.
    Confirmed,
    /// Early, and ended while its request goes on (RFC 6228). Nothing is to be sent in it but PRACK.
    Ended,
}

/// Why a dialog could not be made or changed. All but `TooLong` are the peer's fault.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum DialogError {
    /// A header the dialog is built from is missing or unreadable.
    #[error("{}", .0.reason())]
    Header(#[from] ParseError),
    /// A request that creates a dialog must have exactly one Contact with a URI (8.1.1.8).
    #[error("Missing Contact Header")]
    NoContact,
    /// A request that creates a dialog has more than one Contact (8.1.1.8).
    #[error("More Than One Contact")]
    SeveralContacts,
    /// A response that creates a dialog has no To tag.
    #[error("Missing To Tag")]
    NoTag,
    /// The dialog's strings together exceed 64 KB.
    #[error("Header Too Long")]
    TooLong,
}

/// A request's CSeq number is not above the last one of this dialog (RFC 3261 12.2.2: answer 500).
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("CSeq out of order")]
pub struct OutOfOrder;

/// One dialog. Groups: constructors (`uas`, `uac`, `fork`), moves (`establish`, `refresh_target`,
/// `receive_cseq`, `next_cseq`), getters, printing.
#[derive(Debug)]
pub struct Dialog {
    text: Block,
    spans: Spans,
    local_cseq: u32,
    /// 0 until the peer has sent a request; RFC 3261 allows a first CSeq of 0, which then is
    /// refused only if repeated.
    remote_cseq: Option<u32>,
    state: DialogState,
}

/// Where each string of the dialog lies in its block.
#[derive(Clone, Copy, Debug, Default)]
struct Spans {
    call_id: Span,
    local: Span,
    remote: Span,
    remote_tag: Span,
    target: Span,
    routes: Span,
}

/// The strings a dialog is assembled from.
#[derive(Clone, Copy)]
struct Parts<'a> {
    call_id: &'a [u8],
    local: &'a [u8],
    local_tag: Option<&'a [u8]>,
    remote: &'a [u8],
    /// The tag inside `remote`, as a part of those very bytes; `None` when it has none.
    remote_tag: Option<&'a [u8]>,
    target: &'a [u8],
    routes: &'a [u8],
}

type Scratch = SmallVec<[u8; 1024]>;

/// What stands before our tag in From and To.
const TAG: &[u8] = b";tag=";

impl Dialog {
    /// The dialog of a UAS (RFC 3261 12.1.1): early from the start, confirmed by its 2xx.
    ///
    /// # Errors
    /// When From, To, CSeq or Contact cannot be read.
    pub fn uas(
        request: &Message<'_>,
        local_tag: &[u8],
        pool: &mut Pool,
    ) -> Result<Dialog, DialogError> {
        let contact = request.contact()?.ok_or(DialogError::NoContact)?;
        if request.values(HeaderName::Contact).nth(1).is_some() {
            return Err(DialogError::SeveralContacts);
        }
        let remote_tag = request.from()?.tag();
        request.to()?;
        let routes = route_set(request, false);
        let parts = Parts {
            call_id: request.call_id(),
            local: request.header(HeaderName::To).unwrap_or_default(),
            local_tag: Some(local_tag),
            remote: request.header(HeaderName::From).unwrap_or_default(),
            remote_tag,
            target: contact.uri,
            routes: &routes,
        };
        let (text, spans) = assemble(parts, pool)?;
        let remote_cseq = Some(request.cseq()?.number);
        Ok(Dialog {
            text,
            spans,
            local_cseq: 0,
            remote_cseq,
            state: DialogState::Early,
        })
    }

    /// What a UAC knows before its first answer: the values of its own request. `local` is the From
    /// value with its tag, `remote` the To value without one, `target` the Request-URI.
    ///
    /// # Errors
    /// [`DialogError::TooLong`].
    pub fn uac(
        call_id: &[u8],
        local: &[u8],
        remote: &[u8],
        target: &[u8],
        pool: &mut Pool,
    ) -> Result<Dialog, DialogError> {
        Dialog::uac_through(b"", call_id, local, remote, target, pool)
    }

    /// Like [`Dialog::uac`] with a pre-loaded route set (RFC 3261 8.1.2): `routes` is the whole value of
    /// the Route header. It is the first request's alone; the dialog's own comes with its answer (12.1.2).
    ///
    /// # Errors
    /// [`DialogError::TooLong`].
    pub fn uac_through(
        routes: &[u8],
        call_id: &[u8],
        local: &[u8],
        remote: &[u8],
        target: &[u8],
        pool: &mut Pool,
    ) -> Result<Dialog, DialogError> {
        let parts = Parts {
            call_id,
            local,
            local_tag: None,
            remote,
            remote_tag: None,
            target,
            routes,
        };
        let (text, spans) = assemble(parts, pool)?;
        Ok(Dialog {
            text,
            spans,
            local_cseq: 0,
            remote_cseq: None,
            state: DialogState::Initial,
        })
    }

    /// The dialog of a 2xx to a request of ours that is no longer at hand: everything is in the answer.
    /// Its next CSeq follows that of the answer.
    ///
    /// # Errors
    /// When the answer has no To tag or Contact, or cannot be read.
    pub fn answered(response: &Message<'_>, pool: &mut Pool) -> Result<Dialog, DialogError> {
        response.from()?;
        let remote_tag = response.to()?.tag().ok_or(DialogError::NoTag)?;
        let contact = response.contact()?.ok_or(DialogError::NoContact)?;
        let routes = route_set(response, true);
        let parts = Parts {
            call_id: response.call_id(),
            local: response.header(HeaderName::From).unwrap_or_default(),
            local_tag: None,
            remote: response.header(HeaderName::To).unwrap_or_default(),
            remote_tag: Some(remote_tag),
            target: contact.uri,
            routes: &routes,
        };
        let (text, spans) = assemble(parts, pool)?;
        let local_cseq = response.cseq()?.number;
        let state = DialogState::Confirmed;
        Ok(Dialog {
            text,
            spans,
            local_cseq,
            remote_cseq: None,
            state,
        })
    }

    /// A tagged 1xx or a 2xx to the request that creates this dialog: takes the peer's tag, Contact
    /// and route set. On a 2xx the route set is computed anew (RFC 3261 13.2.2.4), on a second 1xx
    /// with the same tag only the target may move, and only when it is a reliable one (RFC 6141 4.9).
    ///
    /// # Errors
    /// When the answer has no To tag or cannot be read; the dialog is then unchanged.
    pub fn establish(
        &mut self,
        response: &Message<'_>,
        pool: &mut Pool,
    ) -> Result<(), DialogError> {
        let confirmed = response.code() >= 200;
        if self.state == DialogState::Ended {
            // Its peer was told to say so only when nothing more comes; one that goes on is taken at its word.
            self.state = DialogState::Early;
        }
        if self.state == DialogState::Early && !confirmed && !self.target_moves(response) {
            return Ok(());
        }
        if confirmed && self.is_confirmed_by(response) {
            self.confirm();
            return Ok(());
        }
        let (text, spans) = self.assemble_answered(response, self.target(), pool)?;
        pool.release(std::mem::replace(&mut self.text, text));
        self.spans = spans;
        self.state = if confirmed {
            DialogState::Confirmed
        } else {
            DialogState::Early
        };
        Ok(())
    }

    /// The early dialog is over, its request is not (RFC 6228).
    pub fn end_early(&mut self) {
        if self.state == DialogState::Early {
            self.state = DialogState::Ended;
        }
    }

    /// The request is sent once more and every answer to the former one is void: the next answer makes the
    /// dialog, whatever its tag. Our CSeq counts on.
    pub fn begin_again(&mut self) {
        self.state = DialogState::Initial;
        self.spans.remote_tag = Span::default();
        self.remote_cseq = None;
    }

    /// Another early or confirmed dialog from the same request: the answer's To tag is new. `whence` is
    /// the URI of who sent the answer: the target of a peer that names no Contact (12.1.2 wants one), for
    /// the target of this dialog is another peer's.
    ///
    /// # Errors
    /// As [`Dialog::establish`].
    pub fn fork(
        &self,
        response: &Message<'_>,
        whence: &[u8],
        pool: &mut Pool,
    ) -> Result<Dialog, DialogError> {
        let (text, spans) = self.assemble_answered(response, whence, pool)?;
        let confirmed = response.code() >= 200;
        let state = if confirmed {
            DialogState::Confirmed
        } else {
            DialogState::Early
        };
        Ok(Dialog {
            text,
            spans,
            local_cseq: self.local_cseq,
            remote_cseq: None,
            state,
        })
    }

    /// The dialog that a NOTIFY makes of a SUBSCRIBE of ours (RFC 6665 4.4.1): its sender is the peer, which
    /// may be any of those the SUBSCRIBE was forked to. The number of the NOTIFY is not yet received.
    ///
    /// # Errors
    /// When the NOTIFY has no From tag or Contact, or cannot be read.
    pub fn notified(&self, notify: &Message<'_>, pool: &mut Pool) -> Result<Dialog, DialogError> {
        let remote_tag = notify.from()?.tag().ok_or(DialogError::NoTag)?;
        let contact = notify.contact()?.ok_or(DialogError::NoContact)?;
        let routes = route_set(notify, false);
        let parts = Parts {
            remote: notify.header(HeaderName::From).unwrap_or_default(),
            remote_tag: Some(remote_tag),
            target: contact.uri,
            routes: &routes,
            ..self.parts()
        };
        let (text, spans) = assemble(parts, pool)?;
        Ok(Dialog {
            text,
            spans,
            local_cseq: self.local_cseq,
            remote_cseq: None,
            state: DialogState::Confirmed,
        })
    }

    /// The same dialog under another tag of ours: what a UAS has towards a UAC whose request was forked
    /// behind it. Only for dialogs of [`Dialog::uas`].
    ///
    /// # Errors
    /// [`DialogError::TooLong`].
    pub fn under_tag(&self, local_tag: &[u8], pool: &mut Pool) -> Result<Dialog, DialogError> {
        let local = self.part(self.spans.local);
        let end = local.windows(TAG.len()).rposition(|piece| piece == TAG);
        let parts = Parts {
            local: end.and_then(|at| local.get(..at)).unwrap_or(local),
            local_tag: Some(local_tag),
            ..self.parts()
        };
        let (text, spans) = assemble(parts, pool)?;
        Ok(Dialog {
            text,
            spans,
            ..*self
        })
    }

    /// The UAS has sent its 2xx.
    pub fn confirm(&mut self) {
        self.state = DialogState::Confirmed;
    }

    /// A target refresh (RFC 3261 12.2): the peer's Contact of a re-INVITE, UPDATE or its 2xx.
    pub fn refresh_target(&mut self, target: &[u8], pool: &mut Pool) {
        if target == self.target() {
            return;
        }
        let parts = Parts {
            target,
            ..self.parts()
        };
        // A target too long for the block is ignored: the old one stays valid for the peer.
        if let Ok((text, spans)) = assemble(parts, pool) {
            pool.release(std::mem::replace(&mut self.text, text));
            self.spans = spans;
        }
    }

    /// The CSeq of a request from the peer (RFC 3261 12.2.2). ACK and CANCEL are not asked.
    ///
    /// # Errors
    /// [`OutOfOrder`] when it is not above the last one; the dialog is then unchanged.
    pub fn receive_cseq(&mut self, number: u32) -> Result<(), OutOfOrder> {
        if self.remote_cseq.is_some_and(|last| number <= last) {
            return Err(OutOfOrder);
        }
        self.remote_cseq = Some(number);
        Ok(())
    }

    /// The CSeq number of the next request of ours.
    pub fn next_cseq(&mut self) -> u32 {
        // RFC 3261 8.1.1.5: below 2^31. Wrapping would take 2^31 requests on one dialog.
        self.local_cseq = (self.local_cseq + 1) & 0x7fff_ffff;
        self.local_cseq
    }

    /// Where the dialog stands.
    pub fn state(&self) -> DialogState {
        self.state
    }

    /// The Call-ID.
    pub fn call_id(&self) -> &[u8] {
        self.part(self.spans.call_id)
    }

    /// The peer's tag; empty in [`DialogState::Initial`] and for RFC 2543 peers.
    pub fn remote_tag(&self) -> &[u8] {
        self.part(self.spans.remote_tag)
    }

    /// Our From or To value, with our tag.
    pub fn local(&self) -> &[u8] {
        self.part(self.spans.local)
    }

    /// The peer's From or To value, with its tag.
    pub fn remote(&self) -> &[u8] {
        self.part(self.spans.remote)
    }

    /// The peer's Contact URI.
    pub fn target(&self) -> &[u8] {
        self.part(self.spans.target)
    }

    /// The route set, joined to one Route value; empty for none.
    pub fn routes(&self) -> &[u8] {
        self.part(self.spans.routes)
    }

    /// The last CSeq number we used; 0 before the first.
    pub fn local_cseq(&self) -> u32 {
        self.local_cseq
    }

    /// The URI whose host the next request is sent to: the first of the route set, else the target.
    pub fn next_hop(&self) -> &[u8] {
        first_route(self.part(self.spans.routes)).unwrap_or_else(|| self.target())
    }

    /// Prints the request line (RFC 3261 12.2.1.1, strict routers included).
    pub fn print_request_line(&self, out: &mut Vec<u8>, method: &[u8]) {
        match self.strict_route() {
            Some((uri, _)) => print::request_line(out, method, uri),
            None => print::request_line(out, method, self.target()),
        }
    }

    /// Prints Route, From, To, Call-ID and CSeq of a request with this CSeq number.
    pub fn print_headers(&self, out: &mut Vec<u8>, method: &[u8], cseq: u32) {
        self.print_routes(out);
        print::header(out, "From", self.part(self.spans.local));
        print::header(out, "To", self.part(self.spans.remote));
        print::header(out, "Call-ID", self.call_id());
        out.extend_from_slice(b"CSeq: ");
        print::number(out, cseq.into());
        out.push(b' ');
        out.extend_from_slice(method);
        out.extend_from_slice(b"\r\n");
    }

    /// Gives the dialog's text back to the pool it came from.
    pub fn release(self, pool: &mut Pool) {
        pool.release(self.text);
    }

    fn print_routes(&self, out: &mut Vec<u8>) {
        let routes = self.part(self.spans.routes);
        match self.strict_route() {
            None if routes.is_empty() => {}
            None => print::header(out, "Route", routes),
            Some((_, rest)) => {
                // RFC 3261 12.2.1.1: the target becomes the last route of a strict router's list.
                out.extend_from_slice(b"Route: ");
                out.extend_from_slice(rest);
                out.extend_from_slice(if rest.is_empty() { b"<" } else { b", <" });
                out.extend_from_slice(self.target());
                out.extend_from_slice(b">\r\n");
            }
        }
    }

    /// The first route's URI and the routes after it, when that first one is no loose router.
    fn strict_route(&self) -> Option<(&[u8], &[u8])> {
        let routes = self.part(self.spans.routes);
        let uri = first_route(routes)?;
        if Uri::parse(uri).is_ok_and(|uri| uri.param("lr").is_some()) {
            return None;
        }
        let first = Values::new(routes).next()?;
        let rest = routes.get(first.len()..).unwrap_or_default();
        Some((uri, rest.strip_prefix(b", ").unwrap_or_default()))
    }

    /// Whether this 2xx says nothing that its provisional has not said: the usual case.
    fn is_confirmed_by(&self, response: &Message<'_>) -> bool {
        let target = self.target();
        !self.remote_tag().is_empty()
            && response.header(HeaderName::To) == Some(self.part(self.spans.remote))
            && self.spans.routes.start == self.spans.routes.end
            && response.header(HeaderName::RecordRoute).is_none()
            && matches!(response.contact(), Ok(contact) if contact.is_none_or(|it| it.uri == target))
    }

    fn target_moves(&self, response: &Message<'_>) -> bool {
        let reliable = response.header(HeaderName::RSeq).is_some() && response.requires("100rel");
        reliable && matches!(response.contact(), Ok(Some(contact)) if contact.uri != self.target())
    }

    fn assemble_answered(
        &self,
        response: &Message<'_>,
        otherwise: &[u8],
        pool: &mut Pool,
    ) -> Result<(Block, Spans), DialogError> {
        let remote_tag = response.to()?.tag().ok_or(DialogError::NoTag)?;
        // RFC 3261 12.1.2: the route set of an early dialog is that of its first response. Another
        // tag is another dialog, which may have come another way.
        let reuse = self.state == DialogState::Early
            && response.code() < 200
            && self.remote_tag() == remote_tag;
        let routes = if reuse {
            Scratch::from_slice(self.part(self.spans.routes))
        } else {
            route_set(response, true)
        };
        // A 1xx without Contact leaves the target as it was: 12.1.2 wants one, many peers omit it.
        let contact = response.contact()?.map(|contact| contact.uri);
        let parts = Parts {
            remote: response.header(HeaderName::To).unwrap_or_default(),
            remote_tag: Some(remote_tag),
            target: contact.unwrap_or(otherwise),
            routes: &routes,
            ..self.parts()
        };
        assemble(parts, pool)
    }

    fn parts(&self) -> Parts<'_> {
        Parts {
            call_id: self.call_id(),
            local: self.part(self.spans.local),
            local_tag: None,
            remote: self.part(self.spans.remote),
            remote_tag: Some(self.remote_tag()).filter(|tag| !tag.is_empty()),
            target: self.target(),
            routes: self.part(self.spans.routes),
        }
    }

    fn part(&self, span: Span) -> &[u8] {
        span.of(self.text.as_slice())
    }
}

/// Record-Route values joined to one Route value; reversed for a UAC (RFC 3261 12.1.2).
fn route_set(message: &Message<'_>, reversed: bool) -> Scratch {
    let mut routes: SmallVec<[&[u8]; 8]> = message.values(HeaderName::RecordRoute).collect();
    if reversed {
        routes.reverse();
    }
    let mut joined = Scratch::new();
    for route in routes {
        if !joined.is_empty() {
            joined.extend_from_slice(b", ");
        }
        joined.extend_from_slice(route);
    }
    joined
}

/// The URI of the first route of a joined list.
fn first_route(routes: &[u8]) -> Option<&[u8]> {
    let first = Values::new(routes).next()?;
    NameAddr::parse(first).ok().map(|route| route.uri)
}

fn assemble(parts: Parts<'_>, pool: &mut Pool) -> Result<(Block, Spans), DialogError> {
    let mut text = Scratch::new();
    let mut spans = Spans {
        call_id: append(&mut text, &[parts.call_id])?,
        ..Spans::default()
    };
    spans.local = match parts.local_tag {
        Some(tag) => append(&mut text, &[parts.local, TAG, tag])?,
        None => append(&mut text, &[parts.local])?,
    };
    spans.remote = append(&mut text, &[parts.remote])?;
    spans.remote_tag = parts.remote_tag.map_or(Span::default(), |tag| {
        span_inside(tag, parts.remote, spans.remote)
    });
    spans.target = append(&mut text, &[without_headers(parts.target)])?;
    spans.routes = append(&mut text, &[parts.routes])?;
    Ok((pool.store(&text), spans))
}

/// RFC 3261 19.1.1, table 1: a Contact inside a dialog has no headers, nor has a Request-URI.
fn without_headers(target: &[u8]) -> &[u8] {
    match Uri::parse(target) {
        Ok(uri) if !uri.headers.is_empty() => {
            let end = target.len().saturating_sub(uri.headers.len());
            target.get(..end).unwrap_or(target)
        }
        _ => target,
    }
}

/// Where `part`, which lies inside `whole`, will lie when `whole` lies `at` there.
fn span_inside(part: &[u8], whole: &[u8], at: Span) -> Span {
    let offset = part.as_ptr().addr().wrapping_sub(whole.as_ptr().addr());
    // `part` is a part of `whole`, whose place was checked to fit 16 bits.
    let start = at
        .start
        .saturating_add(u16::try_from(offset).unwrap_or(u16::MAX));
    let end = start.saturating_add(u16::try_from(part.len()).unwrap_or(u16::MAX));
    Span { start, end }
}

fn append(text: &mut Scratch, pieces: &[&[u8]]) -> Result<Span, DialogError> {
    let start = u16::try_from(text.len()).map_err(|_| DialogError::TooLong)?;
    for piece in pieces {
        text.extend_from_slice(piece);
    }
    let end = u16::try_from(text.len()).map_err(|_| DialogError::TooLong)?;
    Ok(Span { start, end })
}

#[cfg(test)]
mod tests;
