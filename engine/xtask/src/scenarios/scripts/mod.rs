//! Scenarios sipp cannot play, as scripts of `agent`: races with two right orders, raw bytes, one socket
//! on both ends of a call, limits. The manifest names them; each takes the stage and says what failed.

mod abuse;
mod admission;
mod byes;
mod digest;
mod echo;
mod events;
mod fax;
mod floods;
mod glare;
mod hold;
mod identity;
mod lifetime;
mod loops;
mod mixed;
mod modes;
mod nat;
mod offers;
mod outside;
mod overload;
mod ports;
mod prack;
mod proxy;
mod proxy_forks;
mod registrar;
mod rubbish;
mod sanity;
mod session_timers;
mod steer;
mod talk;
mod torture;
mod transfer;
mod users;

use crate::agent::{Agent, Request};
use crate::failure::Failure;
use crate::router::Router;
use crate::scenarios::manifest::Scenario;
use crate::sip::Message;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// Where a script plays.
#[derive(Debug)]
pub(crate) struct Stage<'a> {
    /// The router.
    pub(crate) router: &'a Router,
    /// The caller's IP address.
    pub(crate) caller_ip: IpAddr,
    /// Where the routing record sends the scenario's number.
    pub(crate) callee: SocketAddr,
    /// What the manifest says of the scenario.
    pub(crate) scenario: &'a Scenario,
    /// The directory of the scenario's logs.
    pub(crate) directory: &'a Path,
}

/// A script.
pub(crate) type Script = fn(&Stage<'_>) -> Result<(), Failure>;

/// The script of this name.
pub(crate) fn find(name: &str) -> Option<Script> {
    Some(match name {
        "abuse_allow_deny" => abuse::allow_deny,
        "abuse_ban_grows" => abuse::ban_grows,
        "abuse_number_probing_banned" => abuse::number_probing,
        "abuse_rate_limited" => abuse::rate_limited,
        "abuse_scanner_declined" => abuse::scanner_declined,
        "abuse_scanner_dropped" => abuse::scanner_dropped,
        "asserted_identity_trusted" => identity::asserted_by_the_trusted,
        "answer_in_ack" => glare::answer_in_ack,
        "back_to_sender" => loops::back_to_sender,
        "bye_crossing_bye" => byes::bye_crossing_bye,
        "digest_sha256" => digest::sha256,
        "digest_wrong_secret_banned" => digest::wrong_secret_banned,
        "drain" => lifetime::drain,
        "early_dialog_terminated_199" => prack::early_dialog_terminated,
        "echo_codecs" => echo::codecs,
        "echo_hold" => echo::hold,
        "echo_moves" => echo::moves,
        "echo_refuses_video" => echo::refuses_video,
        "echo_reports" => echo::reports,
        "echo_rtp" => echo::rtp,
        "events_message_waiting" => events::message_waiting,
        "events_publish" => events::publish,
        "events_reg" => events::reg,
        "half_open_flood" => floods::half_open,
        "malformed" => rubbish::malformed,
        "message_unanswered_no_408" => outside::message_unanswered,
        "modes_application_server" => modes::application_server,
        "modes_application_server_down" => modes::application_server_down,
        "modes_outbound_proxy" => modes::outbound_proxy,
        "modes_probe_481_of_callee" => modes::probe_481_of_callee,
        "modes_probe_481_of_caller" => modes::probe_481_of_caller,
        "modes_probe_unanswered" => modes::probe_unanswered,
        "modes_start_line" => modes::start_line,
        "proxy_id_before_strangers" => proxy::id_before_strangers,
        "proxy_keys_rotate" => proxy::keys_rotate,
        "proxy_survives_restart" => proxy::survives_restart,
        "proxy_withheld" => proxy::withheld,
        "proxy_3xx_recursion" => proxy_forks::redirection,
        "proxy_407_aggregated" => proxy_forks::challenges,
        "proxy_6xx_wins" => proxy_forks::declined_by_one,
        "proxy_best_response" => proxy_forks::best_response,
        "proxy_cancel" => proxy_forks::cancel,
        "proxy_loop_482" => proxy::looped,
        "proxy_max_breadth_440" => proxy_forks::max_breadth,
        "proxy_message" => proxy::message,
        "proxy_no_answer_timeout" => proxy_forks::no_answer_timeout,
        "proxy_parallel_fork_cancels_losers" => proxy_forks::parallel,
        "proxy_prack_passes" => proxy::prack,
        "proxy_serial_fork" => proxy_forks::serial,
        "proxy_strict_route" => proxy::strict_route,
        "proxy_timer_c" => proxy::timer_c,
        "offer_in_prack" => prack::offer_in_prack,
        "overload_limit" => admission::overload_limit,
        "overload_control" => overload::control,
        "overload_sheds_and_recovers" => overload::sheds_and_recovers,
        "refer_handled" => transfer::handled,
        "refer_handled_target_busy" => transfer::handled_target_busy,
        "privacy_id_untrusted" => identity::id_before_strangers,
        "privacy_user" => identity::user_before_strangers,
        "prack_by_router" => prack::by_router,
        "prack_caller_only" => prack::caller_only,
        "prack_end_to_end_forked" => prack::end_to_end_forked,
        "prack_insisted_421" => prack::insisted,
        "prack_lost_18x" => prack::lost_18x,
        "register_every_shard_knows" => registrar::every_shard_knows,
        "register_expires" => registrar::expiry,
        "register_gruu" => registrar::gruu,
        "register_lifecycle" => registrar::lifecycle,
        "register_path" => registrar::path,
        "register_refusals" => registrar::refusals,
        "register_stun" => registrar::stun,
        "reinvite_glare_491" => glare::reinvite,
        "reinvite_while_pending_500" => glare::reinvite_while_pending,
        "reload" => lifetime::reload,
        "replaces_early_only_486" => transfer::early_only,
        "replaces_unknown_481" => transfer::unknown,
        "register_without_registrar" => admission::register_without_registrar,
        "session_timer_422_callee" => session_timers::too_short_for_callee,
        "session_timer_422_caller" => session_timers::too_short_for_us,
        "session_timer_expires" => session_timers::expires,
        "session_timer_peer_without_support" => session_timers::without_support,
        "session_timer_refreshed_by_router_reinvite" => session_timers::refreshed_by_reinvite,
        "session_timer_refreshed_by_router_update" => session_timers::refreshed_by_update,
        "steer_both_ways" => steer::both_ways,
        "steer_candidates" => steer::candidates,
        "steer_delayed_offer" => offers::delayed_offer,
        "steer_early_to_final" => mixed::early_to_final,
        "steer_sipp_echo" => mixed::sipp_echo,
        "steer_encrypted" => steer::encrypted,
        "steer_fax" => fax::t38,
        "steer_forked_answers" => offers::forked_answers,
        "steer_hold_inactive" => hold::inactive,
        "steer_hold_sendonly" => hold::sendonly,
        "steer_hold_zero_address" => hold::zero_address,
        "steer_ipv4_to_ipv6" => steer::ipv4_to_ipv6,
        "steer_latched_moves" => nat::signalling_moves_a_latched_stream,
        "steer_latches" => nat::latches_and_is_not_hijacked,
        "steer_media_timeout" => ports::media_timeout,
        "steer_no_port_for_more" => offers::no_port_for_more,
        "steer_refused_reinvite" => offers::refused_reinvite,
        "steer_offer_in_update" => offers::offer_in_update,
        "steer_offers_in_prack" => offers::offers_in_prack_and_update,
        "steer_one_way" => ports::one_way_media_is_no_silence,
        "steer_port_exhaustion" => ports::exhaustion,
        "steer_rtcp_elsewhere" => steer::rtcp_elsewhere,
        "steer_rtcp_mux" => steer::rtcp_mux,
        "steer_rtcp_mux_refused" => steer::rtcp_mux_refused,
        "steer_same_host" => nat::same_host,
        "steer_stream_added" => steer::stream_added,
        "steer_stream_moves" => steer::stream_moves,
        "steer_stream_refused" => steer::stream_refused,
        "steer_strict" => nat::strict_peer,
        "steer_unknown_lines" => steer::unknown_lines_pass,
        "steer_version" => offers::version_raised_by_change_alone,
        "transfer_attended" => transfer::attended,
        "transfer_attended_other_shard" => transfer::attended_other_shard,
        "transfer_blind" => transfer::blind,
        "subscribe_forked" => outside::subscribe_forked,
        "subscription_ends_with_router" => outside::subscription_ends_with_router,
        "subscription_expires" => outside::subscription_expires,
        "target_refresh_both_legs" => glare::target_refresh,
        "merged_request" => sanity::merged_request,
        "looped_request" => sanity::looped_request,
        "options_of_the_router" => sanity::options_of_the_router,
        "stray_flood" => floods::strays,
        "stray_responses" => sanity::stray_responses,
        "unreadable_bodies_pass" => sanity::unreadable_bodies_pass,
        "torture" => torture::torture,
        "unknown_scheme" => admission::unknown_scheme,
        "user_behind_nat" => users::behind_nat,
        "user_calls_user" => users::each_other,
        "user_forked" => users::forked,
        "user_gruu" => users::gruu,
        "user_keep_alive" => users::keep_alive,
        "user_path" => users::path,
        "user_unavailable" => users::unavailable,
        "update_glare_491" => glare::update,
        _ => return None,
    })
}

/// A call that is up: both agents, and what made it.
struct Call {
    caller: Agent,
    callee: Agent,
    invite: Request,
    answer: Message,
    seen: Message,
}

/// The callee's tag in every scripted call.
const CALLEE_TAG: &str = "scripted-callee";

impl Stage<'_> {
    /// The number to dial.
    fn number(&self) -> &str {
        &self.scenario.number
    }

    /// What the router has logged so far.
    fn log(&self) -> Result<String, Failure> {
        let path = self.directory.join("router.log");
        let cannot = Failure::machine(format!("cannot read {}", path.display()));
        std::fs::read_to_string(path).map_err(cannot)
    }

    fn caller(&self) -> Result<Agent, Failure> {
        Agent::bind("caller", self.caller_ip, self.router.address)
    }

    fn callee(&self) -> Result<Agent, Failure> {
        let router = match self.callee.ip() {
            IpAddr::V4(_) => self.router.address,
            IpAddr::V6(_) => self.router.address_v6,
        };
        Agent::bind_at("callee", self.callee, router)
    }

    /// Places a call and has it answered.
    fn establish(&self) -> Result<Call, Failure> {
        let (caller, callee) = (self.caller()?, self.callee()?);
        let invite = caller.invite(self.number());
        caller.send(&invite)?;
        let seen = callee.expect_request("INVITE")?;
        callee.answer(&seen, 200, CALLEE_TAG, crate::agent::SDP)?;
        let answer = caller.expect_answer(&invite, 200)?;
        caller.acknowledge(&invite, &answer)?;
        callee.expect_request("ACK")?;
        Ok(Call {
            caller,
            callee,
            invite,
            answer,
            seen,
        })
    }
}

impl Call {
    /// The caller hangs up; both sides see the end.
    fn hang_up(&self) -> Result<(), Failure> {
        let bye = self.caller.in_dialog("BYE", &self.invite, &self.answer);
        self.caller.send(&bye)?;
        let seen = self.callee.expect_request("BYE")?;
        self.callee.answer(&seen, 200, CALLEE_TAG, "")?;
        self.caller.expect_answer(&bye, 200).map(drop)
    }
}
