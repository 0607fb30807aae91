//! Sums that do not depend on the order in which numbers come.
//!
//! Integers are added exactly, whatever their size. Doubles are added without any rounding but the last, so the sum
//! is the double nearest to the exact sum (Shewchuk, "Adaptive Precision Floating-Point Arithmetic and Fast Robust
//! Geometric Predicates", 1997; as in Python's `math.fsum`).

use crate::value::{Kind, ValueRef};

/// Digits of a limb, and the limb's base.
const LIMB_DIGITS: usize = 9;
const LIMB_BASE: i64 = 1_000_000_000;

/// The sum of integers of any size.
#[derive(Clone, Debug, Default)]
pub struct IntegerSum {
    /// Of those that fit into 64 bits: adding 2^64 of them stays within 128.
    small: i128,
    /// Of the others, in limbs of nine decimal digits, the least significant first. Limbs have signs and are not
    /// carried, which would overflow after 2^33 numbers of that size.
    large: Vec<i64>,
}

impl IntegerSum {
    /// Adds a value of [`Kind::Int`]; others are left out.
    pub fn add(&mut self, value: ValueRef<'_>) {
        self.add_signed(value, 1);
    }

    /// Takes away a value that was added.
    pub fn subtract(&mut self, value: ValueRef<'_>) {
        self.add_signed(value, -1);
    }

    fn add_signed(&mut self, value: ValueRef<'_>, sign: i64) {
        if value.kind() != Kind::Int {
            return;
        }
        if let Some(small) = value.as_i64() {
            self.small += i128::from(small) * i128::from(sign);
            return;
        }
        let (sign, digits) = match value.json().strip_prefix(b"-") {
            Some(digits) => (-sign, digits),
            None => (sign, value.json()),
        };
        for (position, limb) in digits.rchunks(LIMB_DIGITS).enumerate() {
            let limb = limb.iter().fold(0_i64, |limb, digit| {
                limb * 10 + i64::from(digit.wrapping_sub(b'0'))
            });
            if position == self.large.len() {
                self.large.push(0);
            }
            self.large[position] += sign * limb;
        }
    }

    /// The sum as JSON.
    pub fn to_json(&self) -> String {
        if self.large.is_empty() {
            return self.small.to_string();
        }
        let mut limbs = self.large.clone();
        let mut rest = self.small;
        let mut position = 0;
        while rest != 0 {
            if position == limbs.len() {
                limbs.push(0);
            }
            // Within the base, so it fits.
            limbs[position] += (rest % i128::from(LIMB_BASE)) as i64;
            rest /= i128::from(LIMB_BASE);
            position += 1;
        }
        let is_negative = carry(&mut limbs);
        if is_negative {
            limbs.iter_mut().for_each(|limb| *limb = -*limb);
            carry(&mut limbs);
        }
        let digits: String = limbs
            .iter()
            .rev()
            .map(|limb| format!("{limb:09}"))
            .collect();
        match digits.trim_start_matches('0') {
            "" => "0".to_owned(),
            digits if is_negative => format!("-{digits}"),
            digits => digits.to_owned(),
        }
    }

    /// The double nearest to the sum; `None` where there is none.
    pub fn to_f64(&self) -> Option<f64> {
        let nearest: f64 = self.to_json().parse().ok()?;
        nearest.is_finite().then_some(nearest)
    }
}

/// Brings all limbs but the last between zero and the base; the last has the sign, which is returned.
fn carry(limbs: &mut Vec<i64>) -> bool {
    let mut carried = 0;
    for limb in limbs.iter_mut() {
        let sum = *limb + carried;
        *limb = sum.rem_euclid(LIMB_BASE);
        carried = sum.div_euclid(LIMB_BASE);
    }
    if carried != 0 {
        limbs.push(carried);
    }
    carried < 0
}

/// From this magnitude on doubles are added up on a smaller scale, so that the sum of some does not overflow before
/// others bring it back.
const HUGE: f64 = 1e300;
/// A power of two, so that scaling is exact.
const SCALE: f64 = 1.0 / (1_u128 << 100) as f64;

/// The sum of doubles, rounded once.
#[derive(Clone, Debug, Default)]
pub struct FloatSum {
    /// Parts of the exact sum that do not overlap, in order of magnitude.
    parts: Vec<f64>,
    /// Likewise of those that are huge, scaled.
    huge: Vec<f64>,
}

impl FloatSum {
    /// Adds a finite number.
    pub fn add(&mut self, number: f64) {
        if number.abs() >= HUGE {
            add_to(&mut self.huge, number * SCALE);
        } else {
            add_to(&mut self.parts, number);
        }
    }

    /// The double nearest to the sum; `None` where it is beyond all of them.
    pub fn total(&self) -> Option<f64> {
        let total = if self.huge.iter().all(|part| *part == 0.0) {
            rounded(&self.parts)
        } else {
            let mut scaled = self.huge.clone();
            for part in &self.parts {
                add_to(&mut scaled, part * SCALE);
            }
            rounded(&scaled) / SCALE
        };
        total.is_finite().then_some(total)
    }
}

fn add_to(parts: &mut Vec<f64>, number: f64) {
    let mut carried = number;
    let mut kept = 0;
    for position in 0..parts.len() {
        let (mut larger, mut smaller) = (carried, parts[position]);
        if larger.abs() < smaller.abs() {
            std::mem::swap(&mut larger, &mut smaller);
        }
        let sum = larger + smaller;
        let rest = smaller - (sum - larger);
        if rest != 0.0 {
            parts[kept] = rest;
            kept += 1;
        }
        carried = sum;
    }
    parts.truncate(kept);
    parts.push(carried);
}

/// The parts added up from the largest on. Where the rest is exactly half a unit, the parts below it decide.
fn rounded(parts: &[f64]) -> f64 {
    let Some((mut total, mut below)) = parts.split_last().map(|(last, rest)| (*last, rest)) else {
        return 0.0;
    };
    let mut rest = 0.0;
    while let Some((part, others)) = below.split_last() {
        below = others;
        let sum = total + part;
        rest = part - (sum - total);
        total = sum;
        if rest != 0.0 {
            break;
        }
    }
    if let Some(next) = below.last()
        && rest != 0.0
        && (rest < 0.0) == (*next < 0.0)
    {
        let doubled = rest * 2.0;
        let sum = total + doubled;
        if sum - total == doubled {
            total = sum;
        }
    }
    total
}

#[cfg(test)]
mod tests;
