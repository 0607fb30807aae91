//! Numbers exactly as written: arbitrary precision decimals over their text.
//!
//! Every number is `± 0.d₁d₂…dₙ × 10^exponent` with `d₁` and `dₙ` not zero, or zero. In this form
//! equal numbers have equal parts, and numbers of one sign are ordered by exponent, then digits.

use std::cmp::Ordering;

/// A number in normal form; the digits stay where they are in the text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decimal<'a> {
    pub(crate) is_negative: bool,
    pub(crate) exponent: i64,
    /// The digits before the point, from the first that is not zero.
    whole: &'a [u8],
    /// The digits behind it, to the last that is not zero.
    fraction: &'a [u8],
}

impl<'a> Decimal<'a> {
    /// Of the text of a JSON number. Other text gives some number: only corrupt bytes have it.
    pub(crate) fn new(number: &'a [u8]) -> Decimal<'a> {
        let (is_negative, number) = match number.strip_prefix(b"-") {
            Some(rest) => (true, rest),
            None => (false, number),
        };
        let mantissa_end = memchr::memchr2(b'e', b'E', number).unwrap_or(number.len());
        let (mantissa, power) = number.split_at(mantissa_end);
        let point = memchr::memchr(b'.', mantissa).unwrap_or(mantissa.len());
        let whole = &mantissa[..point];
        let fraction = mantissa.get(point + 1..).unwrap_or_default();

        let whole_length = whole.len() as i64;
        let (whole, fraction, leading_zeros) = trim_leading_zeros(whole, fraction);
        let (whole, fraction) = trim_trailing_zeros(whole, fraction);
        let exponent = read_power(power).saturating_add(whole_length - leading_zeros as i64);
        Decimal {
            is_negative,
            exponent,
            whole,
            fraction,
        }
    }

    /// The normal form has no digits.
    pub(crate) fn is_zero(self) -> bool {
        self.whole.is_empty() && self.fraction.is_empty()
    }

    /// The digits as ASCII, most significant first.
    pub(crate) fn digits(self) -> impl Iterator<Item = u8> {
        self.whole.iter().chain(self.fraction).copied()
    }

    /// The order of the numbers.
    pub(crate) fn compare(self, other: Decimal<'_>) -> Ordering {
        let order = self.sign().cmp(&other.sign());
        if order.is_ne() || self.is_zero() {
            return order;
        }
        let magnitude = self
            .exponent
            .cmp(&other.exponent)
            .then_with(|| self.digits().cmp(other.digits()));
        if self.is_negative {
            magnitude.reverse()
        } else {
            magnitude
        }
    }

    fn sign(self) -> i8 {
        match (self.is_zero(), self.is_negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }
}

/// `e-12` as -12, nothing as 0.
fn read_power(power: &[u8]) -> i64 {
    let (is_negative, digits) = match power {
        [_, b'-', digits @ ..] => (true, digits),
        [_, b'+', digits @ ..] | [_, digits @ ..] => (false, digits),
        [] => return 0,
    };
    let magnitude = digits.iter().fold(0_i64, |power, digit| {
        power
            .saturating_mul(10)
            .saturating_add(i64::from(digit.wrapping_sub(b'0')))
    });
    if is_negative { -magnitude } else { magnitude }
}

fn trim_leading_zeros<'a>(whole: &'a [u8], fraction: &'a [u8]) -> (&'a [u8], &'a [u8], usize) {
    let zeros = leading_zeros(whole);
    if zeros < whole.len() {
        return (&whole[zeros..], fraction, zeros);
    }
    let more = leading_zeros(fraction);
    (&[], &fraction[more..], zeros + more)
}

fn trim_trailing_zeros<'a>(whole: &'a [u8], fraction: &'a [u8]) -> (&'a [u8], &'a [u8]) {
    let fraction = without_trailing_zeros(fraction);
    if fraction.is_empty() {
        (without_trailing_zeros(whole), fraction)
    } else {
        (whole, fraction)
    }
}

fn leading_zeros(digits: &[u8]) -> usize {
    digits.iter().take_while(|digit| **digit == b'0').count()
}

fn without_trailing_zeros(digits: &[u8]) -> &[u8] {
    let zeros = digits
        .iter()
        .rev()
        .take_while(|digit| **digit == b'0')
        .count();
    &digits[..digits.len() - zeros]
}

#[cfg(test)]
mod tests;
