//! The numbers by which steps, pools, ranks and items are known.
//!
//! Each is a type of its own, so that a rank is never taken for a step. A caller makes them from numbers where it
//! calls the core; the core turns them into numbers only to index a list.

use std::fmt;

macro_rules! id {
    ($(#[$meta:meta])* $name:ident, $number:ty) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($number);

        impl $name {
            /// The one of that number.
            pub const fn new(number: $number) -> Self {
                Self(number)
            }

            /// Its number.
            pub const fn number(self) -> $number {
                self.0
            }

            /// Its number as an index of a list.
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// A step: its position in definition order.
    StepId, u32
}

id! {
    /// A pool: its position among those of the run.
    PoolId, u32
}

id! {
    /// Where a step stands among all when several can start: 0 is first.
    Rank, u32
}

id! {
    /// An item: its position among those of its step.
    Position, u64
}

impl StepId {
    /// The first `count` steps, in definition order.
    pub fn first(count: usize) -> impl DoubleEndedIterator<Item = Self> + Clone {
        (0..count as u32).map(Self)
    }
}

impl Position {
    /// The position after this one.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Rank {
    /// After every step there is.
    pub const LAST: Self = Self(u32::MAX);
}
