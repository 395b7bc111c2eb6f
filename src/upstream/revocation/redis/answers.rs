//! What Redis answers, made plain values. Nothing that a server sends is believed to have the right shape.
#![forbid(unsafe_code)]

use super::wire::{Content, Cursor, Entry, Fault, Look, Mark, Position, Present, Reply};
use crate::revocation::Record;
use redis::{RedisError, Value};

pub(crate) fn look(value: &Value) -> Result<Look, Fault> {
    let [
        epoch,
        sequence,
        chain,
        _history,
        server,
        role,
        intact,
        awaited,
        there @ ..,
    ] = array(value)?
    else {
        return Err(Fault::Garbage);
    };
    let is_primary = text(role)? == "master";
    let mut look = Look {
        head: Cursor::default(),
        server: mark(server)?,
        is_primary,
        is_intact: number(intact)? == 1,
        awaited: text(awaited)?.parse().map_err(|_| Fault::Garbage)?,
        there: there.first().map(mark).transpose()?,
    };
    let epoch = number(epoch)?;
    if epoch > 0 {
        look.head = Cursor {
            at: Position {
                epoch,
                sequence: number(sequence)?,
            },
            chain: mark(chain)?,
        };
    }
    Ok(look)
}

/// Strings of records one after the other, or `nil`.
pub(crate) fn page(value: &Value, next: u64) -> Result<Reply, Fault> {
    let (mut records, mut unreadable) = (Vec::new(), 0);
    for shard in array(value)? {
        if *shard == Value::Nil {
            continue;
        }
        let Value::BulkString(shard) = shard else {
            return Err(Fault::Garbage);
        };
        for digits in shard.chunks(2 * Record::BYTES) {
            let record = std::str::from_utf8(digits).ok();
            match record.and_then(|digits| Record::from_hex(digits).ok()) {
                Some(record) => records.push(record),
                None => unreadable += 1,
            }
        }
    }
    Ok(Reply::Page {
        next,
        records,
        unreadable,
    })
}

/// `nil`, or one stream with its entries.
pub(crate) fn entries(value: &Value) -> Result<Vec<Entry>, Fault> {
    if *value == Value::Nil {
        return Ok(Vec::new());
    }
    let [stream] = array(value)? else {
        return Err(Fault::Garbage);
    };
    let [_name, entries] = array(stream)? else {
        return Err(Fault::Garbage);
    };
    array(entries)?.iter().map(entry).collect()
}

fn entry(value: &Value) -> Result<Entry, Fault> {
    let [id, fields] = array(value)? else {
        return Err(Fault::Garbage);
    };
    let at: Position = text(id)?.parse().map_err(|_| Fault::Garbage)?;
    let mut chain = Mark::default();
    let mut content = Content::Unreadable;
    // Somebody may write anything into a stream; only what the scripts write is followed.
    if let [kind, what, name, link] = array(fields)?
        && text(name)? == "chain"
        && let Some(link) = Mark::from_hex(text(link)?.as_bytes())
    {
        chain = link;
        content = match (text(kind)?, text(what)?) {
            ("record", record) => {
                Record::from_hex(record).map_or(Content::Unreadable, Content::Order)
            }
            ("beat", "") => Content::Beat,
            ("open", opened) => opened
                .split_once(':')
                .and_then(|(_, server)| Mark::from_hex(server.as_bytes()))
                .map_or(Content::Unreadable, Content::Opened),
            _ => Content::Unreadable,
        };
    }
    Ok(Entry {
        cursor: Cursor { at, chain },
        content,
    })
}

/// `{epoch, first, last, chain, dropped}`.
pub(crate) fn written(value: &Value) -> Result<Position, Fault> {
    let [epoch, _first, last, ..] = array(value)? else {
        return Err(Fault::Garbage);
    };
    Ok(Position {
        epoch: number(epoch)?,
        sequence: number(last)?,
    })
}

/// Hosts and what they noted, in turns. What is no note is somebody else's, and nobody is waited for by its name.
pub(crate) fn called(value: &Value) -> Result<Reply, Fault> {
    let mut present = Vec::new();
    let (pairs, []) = array(value)?.as_chunks::<2>() else {
        return Err(Fault::Garbage);
    };
    for [host, said] in pairs {
        present.extend(Present::parse(text(host)?, text(said)?));
    }
    Ok(Reply::Called(present))
}

pub(crate) fn array(value: &Value) -> Result<&[Value], Fault> {
    match value {
        Value::Array(items) => Ok(items),
        _ => Err(Fault::Garbage),
    }
}

fn text(value: &Value) -> Result<&str, Fault> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).map_err(|_| Fault::Garbage),
        Value::SimpleString(text) => Ok(text),
        _ => Err(Fault::Garbage),
    }
}

pub(crate) fn number(value: &Value) -> Result<u64, Fault> {
    match value {
        Value::Int(number) => u64::try_from(*number).map_err(|_| Fault::Garbage),
        _ => Err(Fault::Garbage),
    }
}

fn mark(value: &Value) -> Result<Mark, Fault> {
    Mark::from_hex(text(value)?.as_bytes()).ok_or(Fault::Garbage)
}

/// What an error means for whoever asked.
pub(crate) fn fault(error: &RedisError) -> Fault {
    let code = match error.code() {
        Some(code) => code,
        None if error.kind() == redis::ErrorKind::AuthenticationFailed => return Fault::Denied,
        None if error.kind() == redis::ErrorKind::Parse => return Fault::Garbage,
        None if error.kind() == redis::ErrorKind::UnexpectedReturnType => return Fault::Garbage,
        None => return Fault::Lost,
    };
    tracing::debug!(code, "Redis refused");
    match code {
        "LOADING" | "MASTERDOWN" | "BUSY" | "TRYAGAIN" => Fault::Busy,
        "READONLY" | "MOVED" | "ASK" | "CLUSTERDOWN" | "CROSSSLOT" => Fault::NotPrimary,
        "NOAUTH" | "NOPERM" | "WRONGPASS" => Fault::Denied,
        "JOTDEPOCH" => Fault::Fenced,
        // UNBLOCKED: the server has changed its role. NOSCRIPT: it has been restarted.
        "UNBLOCKED" | "NOSCRIPT" => Fault::Lost,
        // OOM, NOREPLICAS, MISCONF, and commands that it does not know.
        _ => Fault::Refused,
    }
}
