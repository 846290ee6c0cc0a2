//! A queue that gives the smallest number first: a bit for each number, and above each 64 bits one that says
//! whether any of them is set.

/// A set of numbers below a limit.
#[derive(Debug)]
pub(super) struct LowestFirst {
    /// The smallest number. It is apart from the others, because a number that was just added is often the next one.
    lowest: Option<u32>,
    /// The other numbers. The lowest level has a bit for each; the highest is one word.
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
                return Self { lowest: None, levels };
            }
        }
    }

    /// Returns the smallest number.
    pub(super) fn lowest(&self) -> Option<u32> {
        self.lowest
    }

    /// Adds the number.
    pub(super) fn insert(&mut self, number: u32) {
        match self.lowest {
            Some(lowest) if lowest < number => self.set(number),
            Some(lowest) => {
                self.lowest = Some(number);
                self.set(lowest);
            }
            None => self.lowest = Some(number),
        }
    }

    /// Removes and returns the smallest number.
    pub(super) fn pop(&mut self) -> Option<u32> {
        let next = self.lowest_bit();
        if let Some(number) = next {
            self.clear(number);
        }
        std::mem::replace(&mut self.lowest, next)
    }

    fn set(&mut self, number: u32) {
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

    fn clear(&mut self, number: u32) {
        let mut bit = number as usize;
        for level in &mut self.levels {
            let Some(word) = level.get_mut(bit / 64) else { return };
            *word &= !(1 << (bit % 64));
            if *word != 0 {
                return;
            }
            bit /= 64;
        }
    }

    /// The lowest number whose bit is set.
    fn lowest_bit(&self) -> Option<u32> {
        let mut bit = 0;
        for level in self.levels.iter().rev() {
            let word = level.get(bit).filter(|word| **word != 0)?;
            bit = bit * 64 + word.trailing_zeros() as usize;
        }
        Some(bit as u32)
    }
}
