//! The table of what only grows.

use super::{Metric, bytes, count, kind};

const STRAYS: &str = "Responses that belonged to no transaction, by reason.";
const SEND_ERRORS: &str = "Datagrams that could not be sent, by reason.";
const ENDS: &str = "Calls that ended without an answer or were never started, by cause.";
const TRANSFERS: &str = "Transfers the router carried out itself, by outcome.";
const NAMED: &str =
    "INVITEs that named a dialog by Replaces, Join, Target-Dialog or our Contact, by outcome.";
const MALFORMED: &str = "Malformed messages, by what was done about them.";
const REPEATED: &str = "Messages sent again, by kind.";
const PROBES: &str = "OPTIONS sent to see who still lives, by whom.";
const PROBES_FAILED: &str =
    "OPTIONS that were not answered, or in a way that says no, by whom they were for.";
const TOO_SMALL: &str = "Answers 422, Session Interval Too Small, by direction.";
const TIMEOUTS: &str = "Transactions that ended without what they waited for, by what it was.";

const ADMISSION: &str =
    "New requests turned away because the shard was overloaded, by what they got.";

const ABUSE: &str = "What was turned away because of where it came from, by reason.";
const BANS: &str = "Times a source was banned, by reason.";

const REGISTERS: &str = "REGISTERs of local domains, retransmissions not counted, by outcome.";
const USER_REQUESTS: &str =
    "Requests to users of local domains, by what became of them: forwarded to contacts, 404, 480.";
const SUBSCRIBES: &str =
    "SUBSCRIBEs for users of local domains, retransmissions not counted, by outcome.";
const PUBLISHES: &str =
    "PUBLISHs for users of local domains, retransmissions not counted, by outcome.";
const STUN: &str = "STUN messages on SIP ports, by what was done about them.";

const MEDIA_DROPS: &str = "Media datagrams that were not sent on, by reason.";

/// What only grows.
pub(super) const COUNTERS: &[Metric] = &[
    // The reactor: the network below SIP.
    count(
        "tipring_datagrams_received_total",
        "Datagrams received.",
        |s| s.reactor.datagrams_in,
    ),
    bytes("tipring_received_bytes_total", "Payload received.", |s| {
        s.reactor.bytes_in
    }),
    count(
        "tipring_datagrams_sent_total",
        "Datagrams handed to the kernel.",
        |s| s.reactor.datagrams_out,
    ),
    bytes(
        "tipring_sent_bytes_total",
        "Payload handed to the kernel, padding not counted.",
        |s| s.reactor.bytes_out,
    ),
    count(
        "tipring_sends_total",
        "Send operations; a coalesced run is one.",
        |s| s.reactor.sends,
    ),
    count(
        "tipring_segments_total",
        "Datagrams that left in coalesced sends.",
        |s| s.reactor.segments,
    ),
    bytes(
        "tipring_padding_bytes_total",
        "Bytes added to even out coalesced sends.",
        |s| s.reactor.padding_bytes,
    ),
    count(
        "tipring_coalesce_refused_total",
        "Coalesced sends the kernel would not take.",
        |s| s.reactor.coalesce_refused,
    ),
    count(
        "tipring_kernel_drops_total",
        "Datagrams the kernel dropped: the receive buffer was full. Should stay 0.",
        |s| s.kernel_drops,
    ),
    count(
        "tipring_truncated_total",
        "Datagrams longer than limits.message_bytes, or than 2048 bytes on a media port.",
        |s| s.reactor.truncated,
    ),
    count(
        "tipring_buffers_exhausted_total",
        "Times all receive buffers were in use.",
        |s| s.reactor.buffers_exhausted,
    ),
    count(
        "tipring_unreachable_total",
        "ICMP errors about peers.",
        |s| s.reactor.unreachable,
    ),
    kind(
        "tipring_send_errors_total",
        ("reason", "unreachable"),
        SEND_ERRORS,
        |s| s.reactor.send_unreachable,
    ),
    kind(
        "tipring_send_errors_total",
        ("reason", "denied"),
        SEND_ERRORS,
        |s| s.reactor.send_denied,
    ),
    kind(
        "tipring_send_errors_total",
        ("reason", "oversize"),
        SEND_ERRORS,
        |s| s.reactor.send_oversize,
    ),
    kind(
        "tipring_send_errors_total",
        ("reason", "no_room"),
        SEND_ERRORS,
        |s| s.reactor.send_no_room,
    ),
    kind(
        "tipring_send_errors_total",
        ("reason", "other"),
        SEND_ERRORS,
        |s| s.reactor.send_other,
    ),
    count("tipring_turns_total", "Turns of the shard's loop.", |s| {
        s.reactor.turns
    }),
    count("tipring_sleeps_total", "Turns that slept.", |s| {
        s.reactor.sleeps
    }),
    // Between shards.
    count(
        "tipring_handed_over_total",
        "Datagrams handed to the shard they belong to.",
        |s| s.handed_over,
    ),
    count(
        "tipring_hand_over_refused_total",
        "Letters to other shards lost because their mailbox was full. Should stay 0.",
        |s| s.hand_over_refused,
    ),
    count(
        "tipring_latency_delayed_total",
        "Intervals whose latencies were handed over late: the housekeeping is behind.",
        |s| s.latency_delayed,
    ),
    count(
        "tipring_control_news_lost_total",
        "Words on calls that the control thread missed because it was behind.",
        |s| s.news_lost,
    ),
    count(
        "tipring_call_records_total",
        "Records of calls handed to the housekeeping.",
        |s| s.records,
    ),
    count(
        "tipring_call_records_lost_total",
        "Records of calls lost because the disk did not keep up. Should stay 0.",
        |s| s.records_lost,
    ),
    count(
        "tipring_hep_sent_total",
        "Copies of SIP messages handed over for the collector (HEP3).",
        |s| s.hep_sent,
    ),
    count(
        "tipring_hep_dropped_total",
        "Copies of SIP messages dropped: the queue was full, or the message too long for a datagram.",
        |s| s.hep_dropped,
    ),
    // SIP messages.
    count(
        "tipring_requests_total",
        "Requests, retransmissions not counted.",
        |s| s.shard.requests,
    ),
    count(
        "tipring_responses_total",
        "Responses that belonged to a transaction.",
        |s| s.shard.responses,
    ),
    count("tipring_keep_alives_total", "Keep-alive datagrams.", |s| {
        s.shard.keep_alives
    }),
    count(
        "tipring_refused_total",
        "Requests the router answered with an error itself.",
        |s| s.shard.refused,
    ),
    count(
        "tipring_relayed_total",
        "In-dialog requests relayed to the other leg.",
        |s| s.shard.relayed,
    ),
    count(
        "tipring_proxied_total",
        "Requests, ACKs among them, forwarded by the proxy; each branch of a fork counts.",
        |s| s.shard.proxied,
    ),
    count(
        "tipring_proxied_branches_total",
        "Targets the proxy tried for INVITEs and for requests with several targets.",
        |s| s.shard.proxied_branches,
    ),
    count(
        "tipring_proxied_recursions_total",
        "Redirections whose Contacts the proxy tried.",
        |s| s.shard.proxied_recursions,
    ),
    kind(
        "tipring_malformed_total",
        ("action", "answered"),
        MALFORMED,
        |s| s.shard.malformed_answered,
    ),
    kind(
        "tipring_malformed_total",
        ("action", "dropped"),
        MALFORMED,
        |s| s.shard.malformed_dropped,
    ),
    // Calls.
    count(
        "tipring_calls_started_total",
        "INVITEs that left towards a callee, or were answered by the echo.",
        |s| s.shard.calls_started,
    ),
    count(
        "tipring_calls_echoed_total",
        "Calls that the router answered itself (EchoResponder).",
        |s| s.shard.calls_echoed,
    ),
    count(
        "tipring_calls_answered_total",
        "Calls answered with a 2xx.",
        |s| s.shard.calls_answered,
    ),
    count(
        "tipring_calls_ended_total",
        "Answered calls that ended.",
        |s| s.shard.calls_ended,
    ),
    kind(
        "tipring_calls_unanswered_total",
        ("cause", "failed"),
        ENDS,
        |s| s.shard.calls_failed,
    ),
    kind(
        "tipring_calls_unanswered_total",
        ("cause", "cancelled"),
        ENDS,
        |s| s.shard.calls_cancelled,
    ),
    kind(
        "tipring_calls_unanswered_total",
        ("cause", "timed_out"),
        ENDS,
        |s| s.shard.calls_timed_out,
    ),
    kind(
        "tipring_calls_unanswered_total",
        ("cause", "unrouted"),
        ENDS,
        |s| s.shard.calls_unrouted,
    ),
    kind(
        "tipring_calls_unanswered_total",
        ("cause", "limited"),
        ENDS,
        |s| s.shard.calls_limited,
    ),
    kind(
        "tipring_calls_unanswered_total",
        ("cause", "application_server_down"),
        ENDS,
        |s| s.shard.calls_refused_down,
    ),
    // Overload.
    count(
        "tipring_admission_offered_total",
        "New requests that could be turned away: INVITE and others that begin something.",
        |s| s.shard.admission.offered,
    ),
    kind(
        "tipring_admission_turned_away_total",
        ("action", "refused"),
        ADMISSION,
        |s| s.shard.admission.refused,
    ),
    kind(
        "tipring_admission_turned_away_total",
        ("action", "dropped"),
        ADMISSION,
        |s| s.shard.admission.dropped,
    ),
    count(
        "tipring_admission_priority_total",
        "Priority calls taken in while others were turned away.",
        |s| s.shard.admission.priority,
    ),
    count(
        "tipring_overloads_total",
        "Times the shard became overloaded.",
        |s| s.shard.admission.overloads,
    ),
    count(
        "tipring_stateless_acks_total",
        "ACKs for refusals that were sent without a transaction.",
        |s| s.shard.stateless_acks,
    ),
    count(
        "tipring_calls_withheld_total",
        "Calls and other requests refused because the server they were for had asked for fewer (RFC 7339).",
        |s| s.shard.calls_withheld,
    ),
    count(
        "tipring_idle_ns_total",
        "Nanoseconds in which the shard's thread had nothing to do.",
        |s| s.reactor.idle_ns,
    ),
    count(
        "tipring_calls_unresponsive_total",
        "Answered calls ended because a leg failed an in-dialog probe.",
        |s| s.shard.calls_unresponsive,
    ),
    // Transfers.
    count(
        "tipring_refers_total",
        "REFERs passed on inside calls.",
        |s| s.shard.referred,
    ),
    count(
        "tipring_transfers_total",
        "REFERs inside calls that the router began to carry out itself.",
        |s| s.shard.transfers_begun,
    ),
    kind(
        "tipring_transfers_ended_total",
        ("outcome", "joined"),
        TRANSFERS,
        |s| s.shard.transfers_done,
    ),
    kind(
        "tipring_transfers_ended_total",
        ("outcome", "failed"),
        TRANSFERS,
        |s| s.shard.transfers_failed,
    ),
    kind(
        "tipring_named_dialogs_total",
        ("outcome", "found"),
        NAMED,
        |s| s.shard.dialogs_found,
    ),
    kind(
        "tipring_named_dialogs_total",
        ("outcome", "not_found"),
        NAMED,
        |s| s.shard.dialogs_not_found,
    ),
    count(
        "tipring_named_dialogs_asked_total",
        "INVITEs that named a dialog which another shard was asked for.",
        |s| s.shard.dialogs_asked,
    ),
    // Abuse.
    kind(
        "tipring_abuse_rejected_total",
        ("reason", "denied"),
        ABUSE,
        |s| s.shard.abuse.denied,
    ),
    kind(
        "tipring_abuse_rejected_total",
        ("reason", "rate_requests"),
        ABUSE,
        |s| s.shard.abuse.requests,
    ),
    kind(
        "tipring_abuse_rejected_total",
        ("reason", "rate_calls"),
        ABUSE,
        |s| s.shard.abuse.calls,
    ),
    kind(
        "tipring_abuse_rejected_total",
        ("reason", "scanner"),
        ABUSE,
        |s| s.shard.abuse.scanner,
    ),
    kind(
        "tipring_abuse_rejected_total",
        ("reason", "banned"),
        ABUSE,
        |s| s.shard.abuse.banned,
    ),
    kind(
        "tipring_abuse_bans_total",
        ("reason", "failures"),
        BANS,
        |s| s.shard.abuse.bans_failures,
    ),
    kind(
        "tipring_abuse_bans_total",
        ("reason", "probing"),
        BANS,
        |s| s.shard.abuse.bans_probing,
    ),
    count(
        "tipring_abuse_unremembered_total",
        "Requests whose source found no place in abuse.sources_max, since those there are banned.",
        |s| s.shard.abuse.unremembered,
    ),
    // Probes.
    kind("tipring_probes_total", ("of", "leg"), PROBES, |s| {
        s.shard.probes
    }),
    kind(
        "tipring_probes_total",
        ("of", "application_server"),
        PROBES,
        |s| s.shard.application_server_probes,
    ),
    kind(
        "tipring_probes_failed_total",
        ("of", "leg"),
        PROBES_FAILED,
        |s| s.shard.probes_failed,
    ),
    kind(
        "tipring_probes_failed_total",
        ("of", "application_server"),
        PROBES_FAILED,
        |s| s.shard.application_server_probes_failed,
    ),
    // Outside calls.
    count(
        "tipring_exchanges_total",
        "Requests outside any dialog that were passed on: MESSAGE, PUBLISH, SUBSCRIBE and the like.",
        |s| s.shard.exchanges,
    ),
    count(
        "tipring_exchanges_unrouted_total",
        "Requests outside any dialog without a route.",
        |s| s.shard.exchanges_unrouted,
    ),
    count(
        "tipring_subscriptions_started_total",
        "SUBSCRIBE and REFER requests outside any dialog that were passed on.",
        |s| s.shard.subscriptions_started,
    ),
    count(
        "tipring_subscriptions_limited_total",
        "Of such requests: refused because of limits.subscriptions, or while draining.",
        |s| s.shard.subscriptions_limited,
    ),
    count(
        "tipring_subscriptions_expired_total",
        "Subscriptions that nobody refreshed, or that were never notified.",
        |s| s.shard.subscriptions_expired,
    ),
    // Where users are.
    count(
        "tipring_location_changes_total",
        "Changes of bindings that this shard put in order, as the owner of their users.",
        |s| s.shard.location.changes,
    ),
    count(
        "tipring_bindings_expired_total",
        "Bindings that ended because nobody refreshed them.",
        |s| s.shard.location.expired,
    ),
    count(
        "tipring_location_refused_total",
        "Updates of bindings, asked for by this shard, that were refused.",
        |s| s.shard.location.refused,
    ),
    count(
        "tipring_location_not_reached_total",
        "Of these: some shard could not be told, or did not answer, within 2 s.",
        |s| s.shard.location.not_reached,
    ),
    count(
        "tipring_location_repeated_total",
        "Registrations told to other shards once more, because they were not confirmed within 100 ms.",
        |s| s.shard.location.repeated,
    ),
    count(
        "tipring_location_late_total",
        "Letters of other shards about bindings read later than 100 ms: this shard is behind.",
        |s| s.shard.location.late,
    ),
    // Session timers.
    count(
        "tipring_session_refreshes_total",
        "Refreshes of sessions sent by the router itself.",
        |s| s.shard.session_refreshes,
    ),
    count(
        "tipring_sessions_expired_total",
        "Calls ended because a session was not refreshed.",
        |s| s.shard.sessions_expired,
    ),
    kind(
        "tipring_session_intervals_too_small_total",
        ("direction", "sent"),
        TOO_SMALL,
        |s| s.shard.session_intervals_refused,
    ),
    kind(
        "tipring_session_intervals_too_small_total",
        ("direction", "received"),
        TOO_SMALL,
        |s| s.shard.session_intervals_raised,
    ),
    // Offers and provisionals.
    count(
        "tipring_pracks_total",
        "PRACKs of the router's own, for callers that do no 100rel or have their answer already.",
        |s| s.shard.pracks,
    ),
    count(
        "tipring_provisionals_discarded_total",
        "Reliable provisionals that went no further: repeated, out of order, or before their turn.",
        |s| s.shard.provisionals_discarded,
    ),
    count(
        "tipring_invites_extended_total",
        "INVITEs sent once more, with 100rel, after a 421.",
        |s| s.shard.invites_extended,
    ),
    count(
        "tipring_offers_untimely_total",
        "Offers and UPDATEs refused with 491 or 500 because another one had no answer yet.",
        |s| s.shard.untimely,
    ),
    // Transactions.
    count(
        "tipring_repeats_received_total",
        "Retransmissions received.",
        |s| s.shard.transactions.repeats_received,
    ),
    kind(
        "tipring_retransmissions_total",
        ("kind", "request"),
        REPEATED,
        |s| s.shard.transactions.requests_repeated,
    ),
    kind(
        "tipring_retransmissions_total",
        ("kind", "response"),
        REPEATED,
        |s| s.shard.transactions.responses_repeated,
    ),
    kind(
        "tipring_retransmissions_total",
        ("kind", "ack"),
        REPEATED,
        |s| s.shard.transactions.acks_repeated,
    ),
    kind(
        "tipring_timeouts_total",
        ("waiting_for", "response"),
        TIMEOUTS,
        |s| s.shard.transactions.timed_out,
    ),
    kind(
        "tipring_timeouts_total",
        ("waiting_for", "delivery"),
        TIMEOUTS,
        |s| s.shard.transactions.failed,
    ),
    kind(
        "tipring_timeouts_total",
        ("waiting_for", "ack_of_2xx"),
        TIMEOUTS,
        |s| s.shard.transactions.unacknowledged,
    ),
    kind(
        "tipring_timeouts_total",
        ("waiting_for", "ack"),
        TIMEOUTS,
        |s| s.shard.transactions.no_ack,
    ),
    kind(
        "tipring_strays_total",
        ("reason", "several_vias"),
        STRAYS,
        |s| s.shard.transactions.strays.several_vias,
    ),
    kind(
        "tipring_strays_total",
        ("reason", "foreign_branch"),
        STRAYS,
        |s| s.shard.transactions.strays.foreign_branch,
    ),
    kind(
        "tipring_strays_total",
        ("reason", "other_shard"),
        STRAYS,
        |s| s.shard.transactions.strays.other_shard,
    ),
    kind(
        "tipring_strays_total",
        ("reason", "no_transaction"),
        STRAYS,
        |s| s.shard.transactions.strays.no_transaction,
    ),
    kind(
        "tipring_strays_total",
        ("reason", "other_method"),
        STRAYS,
        |s| s.shard.transactions.strays.other_method,
    ),
    kind(
        "tipring_strays_total",
        ("reason", "foreign_via"),
        STRAYS,
        |s| s.shard.transactions.strays.foreign_via,
    ),
    count(
        "tipring_requests_merged_total",
        "Requests answered 482: copies of one that is in progress, come another way.",
        |s| s.shard.merged,
    ),
    count(
        "tipring_requests_looped_total",
        "Requests answered 482: they were sent by this router and came back unchanged.",
        |s| s.shard.looped,
    ),
    // Media.
    count(
        "tipring_media_received_total",
        "RTP, RTCP and udptl datagrams received.",
        |s| s.shard.media.received,
    ),
    count(
        "tipring_media_relayed_total",
        "Media datagrams sent on or echoed.",
        |s| s.shard.media.relayed,
    ),
    bytes(
        "tipring_media_relayed_bytes_total",
        "Payload of those.",
        |s| s.shard.media.relayed_bytes,
    ),
    kind(
        "tipring_media_dropped_total",
        ("reason", "idle"),
        MEDIA_DROPS,
        |s| s.shard.media.dropped_idle,
    ),
    kind(
        "tipring_media_dropped_total",
        ("reason", "stranger"),
        MEDIA_DROPS,
        |s| s.shard.media.dropped_stranger,
    ),
    kind(
        "tipring_media_dropped_total",
        ("reason", "nowhere"),
        MEDIA_DROPS,
        |s| s.shard.media.dropped_nowhere,
    ),
    kind(
        "tipring_media_dropped_total",
        ("reason", "malformed"),
        MEDIA_DROPS,
        |s| s.shard.media.dropped_malformed,
    ),
    count(
        "tipring_media_kernel_drops_total",
        "Datagrams the kernel dropped on media ports: the receive buffer was full. Should stay 0.",
        |s| s.media_kernel_drops,
    ),
    count(
        "tipring_media_reports_sent_total",
        "RTCP packets of the router's own.",
        |s| s.shard.media.reports_sent,
    ),
    count(
        "tipring_media_latched_total",
        "Streams that moved to the sender of their first packets.",
        |s| s.shard.media.latched,
    ),
    count(
        "tipring_media_streams_opened_total",
        "Media streams opened.",
        |s| s.shard.media.streams_opened,
    ),
    count(
        "tipring_media_ports_exhausted_total",
        "Streams refused because no port pair was free. Should stay 0.",
        |s| s.shard.media.ports_exhausted,
    ),
    count(
        "tipring_media_silent_total",
        "Streams that fell silent for media.timeout_s.",
        |s| s.shard.media.silent,
    ),
    count(
        "tipring_calls_silent_total",
        "Answered calls ended because their media fell silent.",
        |s| s.shard.calls_silent,
    ),
    kind(
        "tipring_registers_total",
        ("outcome", "accepted"),
        REGISTERS,
        |s| s.shard.registrar.accepted,
    ),
    kind(
        "tipring_registers_total",
        ("outcome", "fetched"),
        REGISTERS,
        |s| s.shard.registrar.fetched,
    ),
    kind(
        "tipring_registers_total",
        ("outcome", "unknown_user"),
        REGISTERS,
        |s| s.shard.registrar.unknown,
    ),
    kind(
        "tipring_registers_total",
        ("outcome", "unproven"),
        REGISTERS,
        |s| s.shard.registrar.unproven,
    ),
    kind(
        "tipring_registers_total",
        ("outcome", "too_brief"),
        REGISTERS,
        |s| s.shard.registrar.too_brief,
    ),
    kind(
        "tipring_registers_total",
        ("outcome", "unsupported"),
        REGISTERS,
        |s| s.shard.registrar.unsupported,
    ),
    kind(
        "tipring_registers_total",
        ("outcome", "bad"),
        REGISTERS,
        |s| s.shard.registrar.bad,
    ),
    kind(
        "tipring_registers_total",
        ("outcome", "out_of_order"),
        REGISTERS,
        |s| s.shard.registrar.out_of_order,
    ),
    kind(
        "tipring_registers_total",
        ("outcome", "too_many_contacts"),
        REGISTERS,
        |s| s.shard.registrar.too_many,
    ),
    kind(
        "tipring_registers_total",
        ("outcome", "full"),
        REGISTERS,
        |s| s.shard.registrar.full,
    ),
    kind(
        "tipring_registers_total",
        ("outcome", "not_reached"),
        REGISTERS,
        |s| s.shard.registrar.not_reached,
    ),
    kind("tipring_stun_total", ("action", "answered"), STUN, |s| {
        s.shard.registrar.stun_answered
    }),
    kind("tipring_stun_total", ("action", "dropped"), STUN, |s| {
        s.shard.registrar.stun_dropped
    }),
    kind(
        "tipring_user_requests_total",
        ("outcome", "forwarded"),
        USER_REQUESTS,
        |s| s.shard.reach.requests,
    ),
    kind(
        "tipring_user_requests_total",
        ("outcome", "unknown_user"),
        USER_REQUESTS,
        |s| s.shard.reach.unknown,
    ),
    kind(
        "tipring_user_requests_total",
        ("outcome", "unavailable"),
        USER_REQUESTS,
        |s| s.shard.reach.unavailable,
    ),
    count(
        "tipring_user_request_contacts_total",
        "Contacts of the users whom requests were forwarded to.",
        |s| s.shard.reach.contacts,
    ),
    count(
        "tipring_contact_probes_total",
        "OPTIONS sent to contacts to learn whether they live.",
        |s| s.shard.reach.probes,
    ),
    count(
        "tipring_contact_probes_failed_total",
        "OPTIONS to contacts without an answer.",
        |s| s.shard.reach.probes_failed,
    ),
    count(
        "tipring_contacts_lost_total",
        "Contacts that became unreachable: registrar.keepalive_failures OPTIONS without an answer in a row.",
        |s| s.shard.reach.lost,
    ),
    count(
        "tipring_contacts_restored_total",
        "Unreachable contacts that answered again.",
        |s| s.shard.reach.restored,
    ),
    kind(
        "tipring_subscribes_total",
        ("outcome", "subscribed"),
        SUBSCRIBES,
        |s| s.shard.events.subscribed,
    ),
    kind(
        "tipring_subscribes_total",
        ("outcome", "refreshed"),
        SUBSCRIBES,
        |s| s.shard.events.refreshed,
    ),
    kind(
        "tipring_subscribes_total",
        ("outcome", "refused"),
        SUBSCRIBES,
        |s| s.shard.events.subscribe_refused,
    ),
    count(
        "tipring_notifies_total",
        "NOTIFYs sent by the router as notifier.",
        |s| s.shard.events.notified,
    ),
    count(
        "tipring_notifies_failed_total",
        "Of these: not answered, or answered with an error.",
        |s| s.shard.events.notify_failed,
    ),
    kind(
        "tipring_publishes_total",
        ("outcome", "accepted"),
        PUBLISHES,
        |s| s.shard.events.published,
    ),
    kind(
        "tipring_publishes_total",
        ("outcome", "refused"),
        PUBLISHES,
        |s| s.shard.events.publish_refused,
    ),
    count(
        "tipring_events_dropped_total",
        "Publications of other shards, and counts of messages, that were not kept: no room, or no such user.",
        |s| s.shard.events.dropped,
    ),
];
