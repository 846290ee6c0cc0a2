//! A queue that gives the smallest number first: a bit for each number, and above each 64 bits one that says
//! whether any of them is set.

/// A set of numbers below a limit.
#[derive(Debug)]
pub(super) struct LowestFirst {
    /// The lowest level has a bit for each number; the highest is one word.
    levels: Vec<Vec<u64>>,
}

impl LowestFirst {
    /// An empty queue of numbers below the limit.
    pub(super) fn new(limit: usize) -> Self {
        let mut levels = Vec::new();
        let mut bits = limit.max(1);
        loop {
            bits = bits.div_ceil(64);
            levels.push(vec![0; bits]);
            if bits == 1 {
                return Self { levels };
            }
        }
    }

    /// Adds the number.
    pub(super) fn insert(&mut self, number: u32) {
        let mut bit = number as usize;
        for level in &mut self.levels {
            let Some(word) = level.get_mut(bit / 64) else { return };
            let was_empty = *word == 0;
            *word |= 1 << (bit % 64);
            if !was_empty {
                return; // The bits in the levels above are set already.
            }
            bit /= 64;
        }
    }

    /// Removes and returns the smallest number.
    pub(super) fn pop(&mut self) -> Option<u32> {
        let word = self.lowest_word()?;
        let mut bit = word * 64 + self.levels.first()?.get(word)?.trailing_zeros() as usize;
        let lowest = bit as u32;
        for level in &mut self.levels {
            let word = level.get_mut(bit / 64)?;
            *word &= !(1 << (bit % 64));
            if *word != 0 {
                break;
            }
            bit /= 64;
        }
        Some(lowest)
    }

    /// A number that is likely to be popped soon, some pops from now, if there is one.
    pub(super) fn soon(&self) -> Option<u32> {
        const AHEAD: u32 = 4;
        let number = self.lowest_word()?;
        let word = *self.levels.first()?.get(number)?;
        let later =
            (0..AHEAD).fold(word, |word, _| if word & (word - 1) == 0 { word } else { word & (word - 1) });
        Some(number as u32 * 64 + later.trailing_zeros())
    }

    /// The first word of the lowest level in which a bit is set.
    fn lowest_word(&self) -> Option<usize> {
        let (lowest, above) = self.levels.split_first()?;
        let mut bit = 0;
        for level in above.iter().rev() {
            let word = level.get(bit).filter(|word| **word != 0)?;
            bit = bit * 64 + word.trailing_zeros() as usize;
        }
        lowest.get(bit).filter(|word| **word != 0).map(|_| bit)
    }
}
