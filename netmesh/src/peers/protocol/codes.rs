/// Why a connection between two nodes is closed: the application's code of `CONNECTION_CLOSE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Close {
    /// The node stops.
    Stopping = 1,
    /// There is another connection between the two, which both keep.
    Duplicate = 2,
    /// The one that dialled is no node of the cluster, as far as the other knows.
    UnknownNode = 3,
    /// The other has been deleted from the cluster, or its addresses have.
    Removed = 4,
}

impl Close {
    /// The code on the wire.
    pub(crate) fn code(self) -> u32 {
        self as u32
    }

    /// The reason phrase that goes with it.
    pub(crate) fn phrase(self) -> &'static str {
        match self {
            Close::Stopping => "the node stops",
            Close::Duplicate => "there is another connection between these nodes",
            Close::UnknownNode => "no node of that name with Pods is known here",
            Close::Removed => "the node is no longer part of the cluster",
        }
    }
}

/// Why one direction of a flow ends before its end: the code of `RESET_STREAM` and `STOP_SENDING`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Cut {
    /// The sender's Pod, or its node, has cut the connection off.
    Reset = 1,
    /// Nobody reads any more.
    Unread = 2,
}

impl Cut {
    /// The code on the wire.
    pub(crate) fn code(self) -> u32 {
        self as u32
    }
}
