//! The protocol of one connection, without its socket: bytes in, questions to the engine, answers out.
#![forbid(unsafe_code)]

use super::super::peers::{Admission, PolicyRefused};
use super::super::tally::Tally;
use super::super::wire::{
    self, Ask, FEATURE_MIN_REVISION, FEATURES, Fault, FaultCode, FrameKind, Framing, Head, Hello,
    Standing, VERSION,
};
use super::super::{Context, Limits};
use super::count_fault;
use super::outbox::{Outbox, UNREAD_BYTES_MAX};
use crate::clock::Now;
use crate::engine::Call;
use crate::limits::{FRAME_BYTES_MAX, FRAME_TOKENS_MAX};
use crate::verdict::Verdict;
use crate::verify::{Outlook, PolicyId};
use bytes::{Bytes, BytesMut};
use std::task::{self, Poll};
use std::time::Duration;
use tokio::sync::mpsc;

/// No frame is taken while questions of more than this are with the engine.
const UNANSWERED_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What an answer takes besides what its question took: a record, a signer, a line of detail.
const ANSWER_BYTES_PER_TOKEN: usize = 256;

/// Frames after which other connections of this thread get their turn.
const FRAMES_PER_TURN: usize = 64;

/// The longest deadline a client may ask for: what it asks is kept in memory until then.
const DEADLINE_MAX: Duration = Duration::from_secs(60);

const _: () = assert!(FRAME_BYTES_MAX < UNANSWERED_BYTES_MAX);

/// One connection's side of the conversation.
pub(super) struct Session<'c> {
    admission: &'c Admission,
    context: &'c Context,
    tally: Tally,
    /// What came and was not taken yet.
    pub(super) input: BytesMut,
    /// What goes out.
    pub(super) output: Outbox,
    /// Bytes the frame at the front of the input needs in all, as far as that is known.
    pub(super) frame_bytes: usize,
    /// Frames taken since the connection was opened.
    pub(super) frames_taken: u64,
    /// What the two hellos agreed on; `None` before.
    terms: Option<Terms>,
    answers: mpsc::UnboundedReceiver<Answer>,
    answer_sender: mpsc::UnboundedSender<Answer>,
    /// Questions with the engine, and their charge in bytes.
    in_flight: u32,
    unanswered_bytes: usize,
    /// How far the conversation is from its end.
    pub(super) ending: Ending,
}

#[derive(Clone, Copy)]
struct Terms {
    frame_bytes_max: usize,
    frame_tokens_max: usize,
    credits: u32,
    /// The largest frame the client takes.
    answer_bytes_max: usize,
    /// Feature bits granted.
    features: u64,
}

/// How far a conversation is from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It goes on.
    Open,
    /// GOAWAY was sent: what was taken is answered, nothing more is taken.
    GoingAway,
    /// The peer will send no more: what was taken is answered.
    HalfClosed,
    /// The peer broke a rule: what is in the output goes out, and that is all.
    Faulted,
}

/// Where taking frames stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// There is no whole frame left, and none has begun.
    All,
    /// A frame or hello has begun, and its end has not come yet.
    Incomplete,
    /// Whole frames may be left: the turn is over, or the peer must take answers first.
    Stopped,
}

/// What the engine said, on its way back to the connection's task.
struct Answer {
    request_id: u64,
    verdicts: Vec<Verdict>,
    standing: Standing,
    charge_bytes: usize,
}

impl<'c> Session<'c> {
    pub(super) fn new(input: BytesMut, admission: &'c Admission, context: &'c Context) -> Self {
        let (answer_sender, answers) = mpsc::unbounded_channel();
        Self {
            admission,
            context,
            tally: Tally::new(context.metrics.clone(), "uds"),
            input,
            output: Outbox::default(),
            frame_bytes: wire::HELLO_BYTES,
            frames_taken: 0,
            terms: None,
            answers,
            answer_sender,
            in_flight: 0,
            unanswered_bytes: 0,
            ending: Ending::Open,
        }
    }

    /// Takes whole frames from the input, as many as one turn and the peer's attention allow.
    pub(super) fn take_frames(&mut self) -> Taken {
        // One reading of the clock serves all that arrived together.
        let mut now = None;
        for _ in 0..FRAMES_PER_TURN {
            if !self.may_take() {
                return Taken::Stopped;
            }
            match self.take_frame(&mut now) {
                Ok(true) => self.frames_taken += 1,
                Ok(false) if self.input.is_empty() && self.terms.is_some() => return Taken::All,
                Ok(false) => return Taken::Incomplete,
                Err(fault) => {
                    self.fail(fault);
                    return Taken::All;
                }
            }
        }
        Taken::Stopped
    }

    /// Puts the answers that have come into the output. Afterwards the task is woken by the next.
    pub(super) fn take_answers(&mut self, cx: &mut task::Context<'_>) {
        while self.in_flight > 0 {
            let Poll::Ready(Some(answer)) = self.answers.poll_recv(cx) else {
                return;
            };
            self.in_flight -= 1;
            self.unanswered_bytes -= answer.charge_bytes;
            self.answer(answer.request_id, &answer.verdicts, answer.standing);
        }
    }

    /// Says that the daemon is going down.
    pub(super) fn go_away(&mut self) {
        self.ending = match self.terms {
            Some(_) => {
                wire::encode_bare(&mut self.output.bytes, FrameKind::Goaway, 0);
                Ending::GoingAway
            }
            // It has not even said hello: nothing was taken.
            None => Ending::Faulted,
        };
    }

    /// Ends the conversation for a rule that the peer broke.
    pub(super) fn fail(&mut self, fault: Fault) {
        let label = match fault.code {
            FaultCode::TooSlow => "slow",
            _ => "frame",
        };
        count_fault(self.context, label);
        tracing::debug!(peer = ?self.admission, fault = fault.code.name(), "connection closed");
        if self.terms.is_none() {
            own_hello(&self.context.limits).encode(&mut self.output.bytes);
        }
        fault.encode(&mut self.output.bytes);
        self.ending = Ending::Faulted;
    }

    /// Whether another frame may be taken to the engine.
    pub(super) fn may_take(&self) -> bool {
        self.ending != Ending::Faulted
            && self.unanswered_bytes < UNANSWERED_BYTES_MAX
            && self.output.unwritten().len() < UNREAD_BYTES_MAX
    }

    /// Whether both sides have said hello.
    pub(super) fn has_terms(&self) -> bool {
        self.terms.is_some()
    }

    /// Whether questions are with the engine.
    pub(super) fn is_waiting(&self) -> bool {
        self.in_flight > 0
    }

    /// Whether everything taken is answered and everything answered is written.
    pub(super) fn is_settled(&self) -> bool {
        self.in_flight == 0 && self.output.unwritten().is_empty()
    }

    /// Takes one frame, if there is a whole one.
    fn take_frame(&mut self, now: &mut Option<Now>) -> Result<bool, Fault> {
        let Some(terms) = self.terms else {
            return self.take_hello();
        };
        let (head, frame_bytes) = match wire::next_frame(&self.input, terms.frame_bytes_max)? {
            Framing::Complete(head, frame_bytes) => (head, frame_bytes),
            Framing::Incomplete(frame_bytes) => {
                self.frame_bytes = frame_bytes;
                return Ok(false);
            }
        };
        let frame = self.input.split_to(frame_bytes).freeze();
        match FrameKind::from_code(head.kind) {
            Some(FrameKind::Verify) => self.take_verify(terms, head, &frame, now)?,
            Some(FrameKind::Ping) => self.take_ping(head, frame_bytes)?,
            _ => return Err(Fault::of_connection(FaultCode::UnknownFrameType)),
        }
        Ok(true)
    }

    fn take_hello(&mut self) -> Result<bool, Fault> {
        let Some((wished, hello_bytes)) = Hello::decode(&self.input)? else {
            self.frame_bytes = self.input.len() + 1;
            return Ok(false);
        };
        let _ = self.input.split_to(hello_bytes);
        let agreed = own_hello(&self.context.limits).agree(wished);
        agreed.encode(&mut self.output.bytes);
        self.terms = Some(Terms {
            frame_bytes_max: agreed.frame_bytes_max as usize,
            frame_tokens_max: agreed.frame_tokens_max as usize,
            credits: agreed.credits,
            answer_bytes_max: match wished.frame_bytes_max {
                0 => FRAME_BYTES_MAX,
                wished => FRAME_BYTES_MAX.min(wished as usize),
            },
            features: agreed.features,
        });
        Ok(true)
    }

    fn take_ping(&mut self, head: Head, frame_bytes: usize) -> Result<(), Fault> {
        if frame_bytes != wire::HEAD_BYTES || head.flags != 0 || head.count != 0 {
            return Err(Fault::of_connection(FaultCode::BadFrame));
        }
        wire::encode_bare(&mut self.output.bytes, FrameKind::Pong, head.request_id);
        Ok(())
    }

    fn take_verify(
        &mut self,
        terms: Terms,
        head: Head,
        frame: &Bytes,
        now: &mut Option<Now>,
    ) -> Result<(), Fault> {
        let asked = Ask::decode(head, frame, terms.frame_tokens_max)
            .and_then(|(ask, tokens)| Ok((self.policy_of(terms, &ask)?, ask, tokens)));
        let (policy, ask, tokens) = match asked {
            Ok(asked) => asked,
            Err(fault) if fault.code.closes() => return Err(fault),
            Err(fault) => {
                fault.encode(&mut self.output.bytes);
                return Ok(());
            }
        };
        let now = *now.get_or_insert_with(|| self.context.engine.clock().now());
        let patience = match ask.deadline_ms {
            0 => self.context.limits.deadline_default,
            asked => Duration::from_millis(asked.into()),
        };
        let request_id = ask.request_id;
        let charge_bytes = frame.len() + tokens.len() * ANSWER_BYTES_PER_TOKEN;
        let call = Call {
            peer: self.admission.peer().clone(),
            tokens: tokens.slices_of(frame),
            policy,
            want: ask.want,
            deadline: Some(now.since_boot + patience.min(DEADLINE_MAX)),
            min_revision: ask.min_revision,
        };
        // Before the tokens are looked at: what is said to be known was known when they were.
        let standing = standing(self.context.engine.outlook(now));
        let sender = self.answer_sender.clone();
        let reply = move |verdicts| {
            // The connection may have gone; then nobody waits for this.
            let _ = sender.send(Answer {
                request_id,
                verdicts,
                standing,
                charge_bytes,
            });
        };
        match self.context.engine.ask(call, now, reply) {
            Some(verdicts) => self.answer(request_id, &verdicts, standing),
            None => {
                self.in_flight += 1;
                self.unanswered_bytes += charge_bytes;
            }
        }
        Ok(())
    }

    /// The policy of a question that may be asked at all.
    fn policy_of(&self, terms: Terms, ask: &Ask<'_>) -> Result<PolicyId, Fault> {
        let fault = |code| Fault::of_request(code, ask.request_id);
        if self.ending == Ending::GoingAway {
            return Err(fault(FaultCode::GoingAway));
        }
        if self.in_flight >= terms.credits {
            return Err(fault(FaultCode::TooManyInFlight));
        }
        if ask.min_revision != 0 && terms.features & FEATURE_MIN_REVISION == 0 {
            return Err(fault(FaultCode::UnsupportedFeature));
        }
        self.admission.policy(ask.policy).map_err(|refused| {
            fault(match refused {
                PolicyRefused::Unknown => FaultCode::UnknownPolicy,
                PolicyRefused::Forbidden => FaultCode::PolicyForbidden,
            })
        })
    }

    fn answer(&mut self, request_id: u64, verdicts: &[Verdict], standing: Standing) {
        self.tally.count(verdicts);
        let bytes_max = self.terms.map_or(0, |terms| terms.answer_bytes_max);
        let out = &mut self.output.bytes;
        if let Err(fault) = wire::encode_verdicts(out, request_id, verdicts, standing, bytes_max) {
            fault.encode(out);
        }
    }
}

fn standing(outlook: Outlook) -> Standing {
    Standing {
        applied_revision: outlook.applied_revision,
        staleness_ms: outlook.freshness.age_ms,
        revocation_state: outlook.freshness.state.code(),
    }
}

fn own_hello(limits: &Limits) -> Hello {
    let clamped = |limit: usize| u32::try_from(limit).unwrap_or(u32::MAX);
    Hello {
        version: VERSION,
        frame_bytes_max: clamped(FRAME_BYTES_MAX),
        frame_tokens_max: clamped(FRAME_TOKENS_MAX),
        credits: limits.calls_in_flight_max,
        features: FEATURES,
    }
}
