//! What a guest may set of a socket: within limits, and reported back as it was taken.

use std::ops::RangeInclusive;

use carob_net::Buffers;

use super::error::Code;

const SECOND: u64 = 1_000_000_000;

/// As Linux has them: from one second to the most that fits.
const KEEP_ALIVE_TIMES: RangeInclusive<u64> = SECOND..=32_767 * SECOND;
const KEEP_ALIVE_COUNTS: RangeInclusive<u32> = 1..=127;
/// A guest's buffers count towards what its network may hold.
const BUFFER_SIZES: RangeInclusive<u64> = 2048..=1 << 20;
const BACKLOGS: RangeInclusive<u64> = 1..=4096;
const DEFAULT_BACKLOG: usize = 128;
const DEFAULT_HOP_LIMIT: u8 = 64;

/// The options of a TCP socket. Connections inherit those of their listener.
///
/// Keep-alive and the hop limit have no meaning inside a node, where the other end is known to be there; they are kept so
/// that programs which set them find what they set.
#[derive(Clone, Copy, Debug)]
pub(super) struct TcpOptions {
    pub(super) backlog: usize,
    pub(super) keep_alive: bool,
    pub(super) keep_alive_idle: u64,
    pub(super) keep_alive_interval: u64,
    pub(super) keep_alive_count: u32,
    pub(super) hop_limit: u8,
    pub(super) buffers: Buffers,
}

impl Default for TcpOptions {
    fn default() -> Self {
        TcpOptions {
            backlog: DEFAULT_BACKLOG,
            keep_alive: false,
            keep_alive_idle: 7200 * SECOND,
            keep_alive_interval: 75 * SECOND,
            keep_alive_count: 9,
            hop_limit: DEFAULT_HOP_LIMIT,
            buffers: Buffers::default(),
        }
    }
}

impl TcpOptions {
    pub(super) fn set_backlog(&mut self, value: u64) -> Result<(), Code> {
        self.backlog = within(value, BACKLOGS)? as usize;
        Ok(())
    }

    pub(super) fn set_keep_alive_idle(&mut self, nanoseconds: u64) -> Result<(), Code> {
        self.keep_alive_idle = within(nanoseconds, KEEP_ALIVE_TIMES)?;
        Ok(())
    }

    pub(super) fn set_keep_alive_interval(&mut self, nanoseconds: u64) -> Result<(), Code> {
        self.keep_alive_interval = within(nanoseconds, KEEP_ALIVE_TIMES)?;
        Ok(())
    }

    pub(super) fn set_keep_alive_count(&mut self, value: u32) -> Result<(), Code> {
        self.keep_alive_count = within(value, KEEP_ALIVE_COUNTS)?;
        Ok(())
    }

    pub(super) fn set_hop_limit(&mut self, value: u8) -> Result<(), Code> {
        self.hop_limit = within(value, 1..=u8::MAX)?;
        Ok(())
    }

    pub(super) fn set_receive_buffer(&mut self, bytes: u64) -> Result<(), Code> {
        self.buffers.receive = within(bytes, BUFFER_SIZES)? as usize;
        Ok(())
    }

    pub(super) fn set_send_buffer(&mut self, bytes: u64) -> Result<(), Code> {
        self.buffers.send = within(bytes, BUFFER_SIZES)? as usize;
        Ok(())
    }
}

/// The options of a UDP socket. The network bounds what waits for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct UdpOptions {
    pub(super) hop_limit: u8,
    pub(super) buffers: Buffers,
}

impl Default for UdpOptions {
    fn default() -> Self {
        UdpOptions { hop_limit: DEFAULT_HOP_LIMIT, buffers: Buffers::default() }
    }
}

impl UdpOptions {
    pub(super) fn set_hop_limit(&mut self, value: u8) -> Result<(), Code> {
        self.hop_limit = within(value, 1..=u8::MAX)?;
        Ok(())
    }

    pub(super) fn set_receive_buffer(&mut self, bytes: u64) -> Result<(), Code> {
        self.buffers.receive = within(bytes, BUFFER_SIZES)? as usize;
        Ok(())
    }

    pub(super) fn set_send_buffer(&mut self, bytes: u64) -> Result<(), Code> {
        self.buffers.send = within(bytes, BUFFER_SIZES)? as usize;
        Ok(())
    }
}

/// Zero is refused for every number that WASI lets a guest set; anything else is brought within `limits`.
fn within<T: Ord + Copy + Default>(value: T, limits: RangeInclusive<T>) -> Result<T, Code> {
    if value == T::default() {
        return Err(Code::InvalidArgument);
    }
    Ok(value.clamp(*limits.start(), *limits.end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_refused_and_changes_nothing() {
        let mut options = TcpOptions::default();
        let refused = [
            options.set_backlog(0),
            options.set_keep_alive_idle(0),
            options.set_keep_alive_interval(0),
            options.set_keep_alive_count(0),
            options.set_hop_limit(0),
            options.set_receive_buffer(0),
            options.set_send_buffer(0),
        ];
        assert_eq!(refused, [const { Err(Code::InvalidArgument) }; 7]);
        assert_eq!(format!("{options:?}"), format!("{:?}", TcpOptions::default()));
    }

    #[test]
    fn what_is_out_of_bounds_is_brought_within_them() {
        let mut options = TcpOptions::default();
        options.set_backlog(u64::MAX).unwrap();
        options.set_keep_alive_idle(1).unwrap();
        options.set_keep_alive_count(1000).unwrap();
        options.set_receive_buffer(1).unwrap();
        options.set_send_buffer(u64::MAX).unwrap();
        assert_eq!((options.backlog, options.keep_alive_idle, options.keep_alive_count), (4096, SECOND, 127));
        assert_eq!(options.buffers, Buffers { receive: 2048, send: 1 << 20 });
    }
}
