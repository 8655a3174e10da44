//! Where the two hosts differ, and why that is right.

/// One step of a guest that ends differently.
pub(crate) struct Difference {
    pub(crate) version: &'static str,
    pub(crate) step: &'static str,
    /// What the guest sees, or a part of it.
    pub(crate) ours: &'static str,
    pub(crate) theirs: &'static str,
    #[expect(dead_code, reason = "it is for whoever reads this")]
    pub(crate) why: &'static str,
}

pub(crate) const DIFFERENCES: &[Difference] = &[
    Difference {
        version: "p2",
        step: "too small",
        ours: "Ok(2048)",
        theirs: "Ok(1152)",
        why: "a size out of bounds is brought within them, and each host has its own: Linux's are for its own bookkeeping",
    },
    Difference { version: "p3", step: "too small", ours: "Ok(2048)", theirs: "Ok(1152)", why: "as in 0.2" },
];
