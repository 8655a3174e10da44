//! What a guest may set of a socket: within limits, and reported back as it was taken.

use std::ops::RangeInclusive;
use std::time::Duration;

use carob_net::{HOP_LIMIT, KeepAlive, TCP_BUFFER, UDP_RECEIVE_BUFFER};

use super::error::Code;

const SECOND: u64 = 1_000_000_000;

/// As Linux has them: from one second to the most that fits.
const KEEP_ALIVE_TIMES: RangeInclusive<u64> = SECOND..=32_767 * SECOND;
const KEEP_ALIVE_COUNTS: RangeInclusive<u32> = 1..=127;
/// A guest's buffers count towards what its network may hold; the least of both ends is the least of a pipe.
const BUFFER_SIZES: RangeInclusive<u64> = 2048..=1 << 20;
const BACKLOGS: RangeInclusive<u64> = 1..=4096;
const DEFAULT_BACKLOG: usize = 128;

/// The options of a TCP socket. Connections inherit those of their listener when they are accepted.
///
/// What they mean is the network's to say: see [`carob_net::TcpOptions`].
#[derive(Clone, Copy, Debug)]
pub(super) struct TcpOptions {
    pub(super) backlog: usize,
    pub(super) keep_alive: bool,
    pub(super) keep_alive_idle: u64,
    pub(super) keep_alive_interval: u64,
    pub(super) keep_alive_count: u32,
    pub(super) hop_limit: u8,
    /// As the guest has set them.
    receive_buffer: Option<usize>,
    send_buffer: Option<usize>,
}

impl Default for TcpOptions {
    fn default() -> Self {
        TcpOptions {
            backlog: DEFAULT_BACKLOG,
            keep_alive: false,
            keep_alive_idle: 7200 * SECOND,
            keep_alive_interval: 75 * SECOND,
            keep_alive_count: 9,
            hop_limit: HOP_LIMIT,
            receive_buffer: None,
            send_buffer: None,
        }
    }
}

/// In the network's terms.
impl From<TcpOptions> for carob_net::TcpOptions {
    fn from(options: TcpOptions) -> carob_net::TcpOptions {
        let keep_alive = options.keep_alive.then_some(KeepAlive {
            idle: Duration::from_nanos(options.keep_alive_idle),
            interval: Duration::from_nanos(options.keep_alive_interval),
            count: options.keep_alive_count,
        });
        let TcpOptions { receive_buffer, send_buffer, hop_limit, .. } = options;
        carob_net::TcpOptions { receive_buffer, send_buffer, keep_alive, hop_limit }
    }
}

impl TcpOptions {
    pub(super) fn receive_buffer(&self) -> u64 {
        self.receive_buffer.unwrap_or(TCP_BUFFER) as u64
    }

    pub(super) fn send_buffer(&self) -> u64 {
        self.send_buffer.unwrap_or(TCP_BUFFER) as u64
    }

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
        self.receive_buffer = Some(within(bytes, BUFFER_SIZES)? as usize);
        Ok(())
    }

    pub(super) fn set_send_buffer(&mut self, bytes: u64) -> Result<(), Code> {
        self.send_buffer = Some(within(bytes, BUFFER_SIZES)? as usize);
        Ok(())
    }
}

/// The options of a UDP socket; what they mean is in [`carob_net::UdpOptions`].
#[derive(Clone, Copy, Debug)]
pub(super) struct UdpOptions {
    pub(super) hop_limit: u8,
    receive_buffer: Option<usize>,
    send_buffer: Option<usize>,
}

impl Default for UdpOptions {
    fn default() -> Self {
        UdpOptions { hop_limit: HOP_LIMIT, receive_buffer: None, send_buffer: None }
    }
}

/// In the network's terms.
impl From<UdpOptions> for carob_net::UdpOptions {
    fn from(options: UdpOptions) -> carob_net::UdpOptions {
        let UdpOptions { hop_limit, receive_buffer, send_buffer } = options;
        carob_net::UdpOptions { receive_buffer, send_buffer, hop_limit }
    }
}

impl UdpOptions {
    pub(super) fn receive_buffer(&self) -> u64 {
        self.receive_buffer.unwrap_or(UDP_RECEIVE_BUFFER) as u64
    }

    pub(super) fn send_buffer(&self) -> u64 {
        self.send_buffer.unwrap_or(UDP_RECEIVE_BUFFER) as u64
    }

    pub(super) fn set_hop_limit(&mut self, value: u8) -> Result<(), Code> {
        self.hop_limit = within(value, 1..=u8::MAX)?;
        Ok(())
    }

    pub(super) fn set_receive_buffer(&mut self, bytes: u64) -> Result<(), Code> {
        self.receive_buffer = Some(within(bytes, BUFFER_SIZES)? as usize);
        Ok(())
    }

    pub(super) fn set_send_buffer(&mut self, bytes: u64) -> Result<(), Code> {
        self.send_buffer = Some(within(bytes, BUFFER_SIZES)? as usize);
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
        assert_eq!((options.receive_buffer(), options.send_buffer()), (2048, 1 << 20));
    }
}
