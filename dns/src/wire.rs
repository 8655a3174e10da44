//! Between packets and questions, by hickory's codec.

use std::net::IpAddr;

use hickory_proto::ProtoError;
use hickory_proto::op::{Edns, Message, MessageType, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, NS, PTR, SOA, SRV, TXT};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use crate::zone::{self, Authority, Data, Kind};

/// What is sent by UDP fits into one packet on every path (DNS flag day 2020).
pub(crate) const MAX_UDP_BYTES: usize = 1232;
/// What a client takes that says nothing of it (RFC 1035, section 4.2.1).
const PLAIN_UDP_BYTES: usize = 512;

/// The bytes of a header.
const HEADER: usize = 12;

/// How long others may remember what the zone says, in seconds: as long as a client may go on with an endpoint that is gone.
pub(crate) const TTL: u32 = 5;

/// A question that can be answered.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) metadata: Metadata,
    pub(crate) query: Query,
    /// The name in lower case, without the dot at its end.
    pub(crate) name: String,
    edns: Option<Edns>,
}

/// What cannot be answered.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// No answer at all: it is no question.
    Silence,
    /// Only that it cannot be.
    Answer(Box<Message>),
}

impl Asked {
    /// Reads a packet.
    ///
    /// # Errors
    /// What to say of a packet that is not one question about the Internet.
    pub(crate) fn read(packet: &[u8]) -> Result<Asked, Refusal> {
        // An answer is never answered: two servers would talk for ever.
        let Some(flags) = packet.get(2).filter(|flags| packet.len() >= HEADER && *flags & 0x80 == 0) else {
            return Err(Refusal::Silence);
        };
        let id = u16::from_be_bytes([packet[0], packet[1]]);
        let refuse = |op_code, code| Err(Refusal::Answer(Box::new(Message::error_msg(id, op_code, code))));
        let op_code = OpCode::from_u8(flags >> 3 & 0xf);
        if op_code != OpCode::Query {
            return refuse(op_code, ResponseCode::NotImp);
        }
        let Ok(mut message) = Message::from_vec(packet) else { return refuse(op_code, ResponseCode::FormErr) };
        let (Some(query), true) = (message.queries.pop(), message.queries.is_empty()) else {
            return refuse(op_code, ResponseCode::FormErr);
        };
        let asked = Asked { metadata: message.metadata, name: plain(query.name()), query, edns: message.edns.take() };
        let code = match (&asked.edns, asked.query.query_class(), asked.query.query_type()) {
            (Some(edns), ..) if edns.version() > 0 => ResponseCode::BADVERS,
            (_, DNSClass::IN, RecordType::AXFR | RecordType::IXFR) => ResponseCode::Refused,
            (_, DNSClass::IN, _) => return Ok(asked),
            _ => ResponseCode::Refused,
        };
        Err(Refusal::Answer(Box::new(asked.answer(code))))
    }

    pub(crate) fn kind(&self) -> Kind {
        match self.query.query_type() {
            RecordType::A => Kind::A,
            RecordType::AAAA => Kind::Aaaa,
            RecordType::CNAME => Kind::Cname,
            RecordType::SRV => Kind::Srv,
            RecordType::PTR => Kind::Ptr,
            RecordType::TXT => Kind::Txt,
            RecordType::NS => Kind::Ns,
            RecordType::SOA => Kind::Soa,
            RecordType::ANY => Kind::Any,
            _ => Kind::Other,
        }
    }

    /// Whether the client wants signatures, which are passed on from elsewhere.
    pub(crate) fn wants_signatures(&self) -> bool {
        self.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok)
    }

    /// How much the client takes by UDP.
    pub(crate) fn udp_bytes(&self) -> usize {
        let told = self.edns.as_ref().map_or(PLAIN_UDP_BYTES, |edns| usize::from(edns.max_payload()));
        told.clamp(PLAIN_UDP_BYTES, MAX_UDP_BYTES)
    }

    /// An answer without records yet. The question comes back as it was written (the case of its letters is a secret that
    /// some clients check).
    pub(crate) fn answer(&self, code: ResponseCode) -> Message {
        let mut answer = Message::new(self.metadata.id, MessageType::Response, OpCode::Query);
        answer.metadata = Metadata::response_from_request(&self.metadata);
        answer.metadata.recursion_available = true;
        answer.metadata.response_code = code;
        answer.add_query(self.query.clone());
        answer.edns = self.edns.as_ref().map(|asked| {
            let mut edns = Edns::new();
            edns.set_max_payload(MAX_UDP_BYTES as u16).set_dnssec_ok(asked.flags().dnssec_ok);
            edns
        });
        answer
    }
}

/// As the zone has names. What no name of it has (a dot within a label, and whatever is not ASCII) is no name there either.
fn plain(name: &Name) -> String {
    let mut plain = String::with_capacity(name.len());
    for label in name.iter() {
        if !plain.is_empty() {
            plain.push('.');
        }
        let letter = |byte: &u8| match byte {
            b'.' => '\u{fffd}',
            byte if byte.is_ascii_graphic() => char::from(byte.to_ascii_lowercase()),
            _ => '\u{fffd}',
        };
        plain.extend(label.iter().map(letter));
    }
    plain
}

/// A name of the zone as hickory has it.
///
/// # Errors
/// For a name that is longer than names can be, or that has an empty label.
pub(crate) fn full(name: &str) -> Result<Name, ProtoError> {
    Name::from_labels(name.split('.').map(str::as_bytes))
}

/// What the zone has at a name.
///
/// # Errors
/// As for [`full`].
pub(crate) fn record(asked: &Name, record: &zone::Record) -> Result<Record, ProtoError> {
    let owner = match &record.name {
        Some(name) => full(name)?,
        None => asked.clone(),
    };
    let data = match &record.data {
        Data::Address(IpAddr::V4(address)) => RData::A(A(*address)),
        Data::Address(IpAddr::V6(address)) => RData::AAAA(AAAA(*address)),
        Data::Alias(other) => RData::CNAME(CNAME(full(other)?)),
        Data::Port { port, target, weight } => RData::SRV(SRV::new(0, *weight, *port, full(target)?)),
        Data::Pointer(name) => RData::PTR(PTR(full(name)?)),
        Data::Text(text) => RData::TXT(TXT::new(vec![(*text).to_owned()])),
        Data::Server(name) => RData::NS(NS(full(name)?)),
    };
    Ok(Record::from_rdata(owner, TTL, data))
}

/// The SOA record of a zone: it says for how long others may remember that a name is not there.
///
/// # Errors
/// As for [`full`].
pub(crate) fn authority(authority: &Authority) -> Result<Record, ProtoError> {
    let server = full(&authority.server)?;
    let (mailbox, ttl) = (Name::from_ascii("hostmaster")?.append_domain(&full(&authority.apex)?)?, TTL);
    let soa = SOA::new(server, mailbox, authority.serial, 7200, 1800, 86400, ttl);
    Ok(Record::from_rdata(full(&authority.apex)?, ttl, RData::SOA(soa)))
}

/// The packet of an answer, in at most `limit` bytes, in which the question alone always fits: first without what was not asked for, then without as many records as
/// need be, which it says.
pub(crate) fn encode(mut answer: Message, limit: usize) -> Vec<u8> {
    loop {
        match answer.to_vec() {
            Ok(packet) if packet.len() <= limit => return packet,
            // Nothing that was read or made here is too long to be written, but for the number of records.
            Err(error) if answer.answers.is_empty() => {
                tracing::warn!(%error, "cannot write an answer");
                return Vec::new();
            }
            _ if !answer.additionals.is_empty() => answer.additionals.clear(),
            _ => {
                answer.metadata.truncation = true;
                answer.authorities.clear();
                answer.answers.truncate(answer.answers.len() / 2);
            }
        }
    }
}
