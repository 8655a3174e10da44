//! From a packet to the packet that answers it.

use std::sync::Arc;
use std::time::Instant;

use hickory_proto::ProtoError;
use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::RecordType;

use crate::directory::Directory;
use crate::forward::Forwarder;
use crate::metrics::Metrics;
use crate::wire::{self, Asked, Refusal};
use crate::zone::{Answer, Data, Kind};

/// Aliases that lead to one another.
pub(crate) const MOST_ALIASES: usize = 8;

/// How a question came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    Udp,
    Tcp,
}

/// What is to be done about a packet.
pub(crate) enum Step {
    Nothing,
    /// It is answered.
    Send(Vec<u8>),
    /// Others have to be asked.
    Ask(Box<Pending>),
}

/// A question that others have to be asked for.
pub(crate) struct Pending {
    asked: Asked,
    over: Over,
    since: Instant,
    /// The answer as far as it is known: the aliases on the way.
    begun: Message,
    /// The name to ask for, and the same in lower case.
    query: Query,
    name: String,
}

/// Answers what the zone knows at once, and the rest by asking others.
pub(crate) struct Answerer {
    pub(crate) directory: Arc<Directory>,
    pub(crate) forwarder: Arc<Forwarder>,
    pub(crate) metrics: Arc<Metrics>,
}

impl Answerer {
    /// Answers, or says what else there is to do. Never waits.
    pub(crate) fn begin(&self, packet: &[u8], over: Over) -> Step {
        let since = Instant::now();
        let asked = match Asked::read(packet) {
            Ok(asked) => asked,
            Err(Refusal::Silence) => return Step::Nothing,
            Err(Refusal::Answer(answer)) => {
                self.metrics.answered(name_of(over), RecordType::ZERO, answer.metadata.response_code, since.elapsed());
                return Step::Send(wire::encode(*answer, limit(None, over)));
            }
        };
        match self.look_up(&asked) {
            Ok(Found::Answer(answer)) => Step::Send(self.finish(&asked, answer, over, since)),
            Ok(Found::Elsewhere(begun, query, name)) => {
                Step::Ask(Box::new(Pending { asked, over, since, begun: *begun, query, name }))
            }
            Err(error) => {
                tracing::warn!(name = %asked.query.name(), %error, "cannot write an answer");
                Step::Send(self.finish(&asked, asked.answer(ResponseCode::ServFail), over, since))
            }
        }
    }

    /// Asks others.
    pub(crate) async fn ask(&self, pending: Pending) -> Vec<u8> {
        let Pending { asked, over, since, mut begun, query, name } = pending;
        match self.forwarder.ask(&name, query, asked.wants_signatures()).await {
            Ok(answer) => merge(&mut begun, answer),
            Err(error) => {
                tracing::debug!(%name, %error, "cannot answer");
                begun = asked.answer(ResponseCode::ServFail);
            }
        }
        self.finish(&asked, begun, over, since)
    }

    fn finish(&self, asked: &Asked, answer: Message, over: Over, since: Instant) -> Vec<u8> {
        let (code, kind) = (answer.metadata.response_code, asked.query.query_type());
        let took = since.elapsed();
        self.metrics.answered(name_of(over), kind, code, took);
        tracing::debug!(
            target: "carob_dns::query",
            name = %asked.query.name(), %kind, %code, over = name_of(over), ?took, answers = answer.answers.len(),
        );
        wire::encode(answer, limit(Some(asked), over))
    }

    /// What the zone and the memory know.
    fn look_up(&self, asked: &Asked) -> Result<Found, ProtoError> {
        let mut answer = asked.answer(ResponseCode::NoError);
        let (mut query, mut name) = (asked.query.clone(), asked.name.clone());
        for step in 0..MOST_ALIASES {
            let Some(known) = self.directory.look_up(&name, asked.kind(), asked.metadata.id.into()) else {
                return Ok(Found::Answer(asked.answer(ResponseCode::ServFail)));
            };
            answer.metadata.authoritative |= step == 0 && known != Answer::NotOurs;
            let alias = match known {
                Answer::NotOurs => return Ok(self.elsewhere(asked, answer, query, name)),
                Answer::Authority(authority) => {
                    answer.add_answer(wire::authority(&authority)?);
                    None
                }
                Answer::NoData(authority) => {
                    answer.add_authority(wire::authority(&authority)?);
                    None
                }
                Answer::NoSuchName(authority) => {
                    answer.metadata.response_code = ResponseCode::NXDomain;
                    answer.add_authority(wire::authority(&authority)?);
                    None
                }
                Answer::Found { answers, additionals } => {
                    for record in &answers {
                        answer.add_answer(wire::record(query.name(), record)?);
                    }
                    for record in &additionals {
                        answer.add_additional(wire::record(query.name(), record)?);
                    }
                    answers.into_iter().find_map(|record| match record.data {
                        Data::Alias(other) if !matches!(asked.kind(), Kind::Cname | Kind::Any) => Some(other),
                        _ => None,
                    })
                }
            };
            let Some(other) = alias else { return Ok(Found::Answer(answer)) };
            query.set_name(wire::full(&other)?);
            name = other;
        }
        Ok(Found::Answer(asked.answer(ResponseCode::ServFail)))
    }

    fn elsewhere(&self, asked: &Asked, mut begun: Message, query: Query, name: String) -> Found {
        // Who does not want others to be asked gets what is here (RFC 1035, section 4.1.1).
        if !asked.metadata.recursion_desired {
            let code = if begun.answers.is_empty() { ResponseCode::Refused } else { ResponseCode::NoError };
            begun.metadata.response_code = code;
            return Found::Answer(begun);
        }
        match self.forwarder.remembered(&query, asked.wants_signatures()) {
            Some(answer) => {
                merge(&mut begun, answer);
                Found::Answer(begun)
            }
            None => Found::Elsewhere(Box::new(begun), query, name),
        }
    }
}

/// What is known here of a question.
enum Found {
    Answer(Message),
    /// What others have to be asked, and what comes before their answer.
    Elsewhere(Box<Message>, Query, String),
}

/// Adds what others have said.
fn merge(begun: &mut Message, answer: Message) {
    begun.metadata.response_code = answer.metadata.response_code;
    begun.answers.extend(answer.answers);
    begun.authorities.extend(answer.authorities);
    begun.additionals.extend(answer.additionals);
}

fn limit(asked: Option<&Asked>, over: Over) -> usize {
    match over {
        Over::Tcp => usize::from(u16::MAX),
        Over::Udp => asked.map_or(wire::MAX_UDP_BYTES, Asked::udp_bytes),
    }
}

fn name_of(over: Over) -> &'static str {
    match over {
        Over::Udp => "udp",
        Over::Tcp => "tcp",
    }
}
