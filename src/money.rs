//! Money: integers in millionths of a currency's unit, so that sums are exact and the same everywhere.
//!
//! A price is read once from a decimal number and rounded once; every further division rounds once, half
//! away from zero. [`Money`] does not carry its [`Currency`]: whoever adds amounts has checked that they
//! are in one currency (the `cost` room does, and refuses to mix).
//!
//! This room knows nothing of what is bought.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Neg, Sub};

/// Millionths in one unit of a currency.
pub const MICROS_PER_UNIT: i128 = 1_000_000;

/// An amount in millionths of the currency's unit (0.000001 USD).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Money(i128);

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount that input may name: 10^12 units.
    pub const MAX: Self = Self(1_000_000_000_000 * MICROS_PER_UNIT);

    /// `micros` millionths of a unit.
    #[must_use]
    pub const fn from_micros(micros: i128) -> Self {
        Self(micros)
    }

    /// An amount written as a decimal number, rounded to a millionth; `None` unless it is finite, not
    /// negative and at most [`Money::MAX`].
    #[must_use]
    pub fn from_decimal(units: f64) -> Option<Self> {
        let micros = (units * MICROS_PER_UNIT as f64).round();
        (micros >= 0.0 && micros <= Self::MAX.0 as f64).then_some(Self(micros as i128))
    }

    /// Millionths of a unit.
    #[must_use]
    pub const fn micros(self) -> i128 {
        self.0
    }

    /// Units, for reporting only.
    #[must_use]
    pub fn as_units(self) -> f64 {
        self.0 as f64 / MICROS_PER_UNIT as f64
    }

    /// `self * numerator / denominator`, rounded half away from zero; `None` if the denominator is zero
    /// or the product leaves the range.
    #[must_use]
    pub fn scaled(self, numerator: i128, denominator: i128) -> Option<Self> {
        let product = self.0.checked_mul(numerator)?;
        let quotient = product.checked_div(denominator)?;
        let rest = product % denominator;
        let away = if (product < 0) == (denominator < 0) { 1 } else { -1 };
        let rounded = rest.unsigned_abs() >= denominator.unsigned_abs().div_ceil(2) && rest != 0;
        Some(Self(quotient + if rounded { away } else { 0 }))
    }

    /// `self` times every fraction (numerator, denominator), rounded once half away from zero; `None` if a
    /// denominator is zero or the reduced product leaves the range.
    #[must_use]
    pub fn times(self, fractions: &[(i128, i128)]) -> Option<Self> {
        let (mut numerator, mut denominator) = (1i128, 1i128);
        for (above, below) in fractions {
            let (mut above, mut below) = (*above, *below);
            for (one, other) in [(&mut above, &mut denominator), (&mut numerator, &mut below)] {
                let divisor = gcd(*one, *other);
                *one /= divisor;
                *other /= divisor;
            }
            let divisor = gcd(above, below);
            numerator = numerator.checked_mul(above / divisor)?;
            denominator = denominator.checked_mul(below / divisor)?;
        }
        if denominator == 0 {
            return None;
        }
        let divisor = gcd(self.0, denominator);
        Self(self.0 / divisor).scaled(numerator, denominator / divisor)
    }

    /// Splits the amount by `weights` (none below zero): the parts sum to it exactly. Each gets its rounded-down
    /// share; the millionths left go to the largest rests, the first of equals first. Without any weight
    /// everything goes to the last part.
    #[must_use]
    pub fn split(self, weights: &[i128]) -> Vec<Self> {
        let whole: i128 = weights.iter().sum();
        let mut parts = vec![Self::ZERO; weights.len()];
        if whole <= 0 {
            if let Some(last) = parts.last_mut() {
                *last = self;
            }
            return parts;
        }
        let (sign, amount) = (self.0.signum(), self.0.abs());
        let mut rests: Vec<(i128, usize)> = Vec::with_capacity(weights.len());
        let mut given = 0;
        for (at, weight) in weights.iter().enumerate() {
            let (share, rest) = mul_div(amount, *weight, whole);
            parts[at] = Self(sign * share);
            given += share;
            rests.push((rest, at));
        }
        rests.sort_by_key(|(rest, at)| (std::cmp::Reverse(*rest), *at));
        for (_, at) in rests.into_iter().take(usize::try_from(amount - given).unwrap_or(0)) {
            parts[at].0 += sign;
        }
        parts
    }
}

/// Greatest common divisor, at least 1.
fn gcd(a: i128, b: i128) -> i128 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    i128::try_from(a.max(1)).unwrap_or(1)
}

/// `a * b / whole` and the rest, for `0 <= b <= whole` and `a >= 0`, without leaving the range: bit by bit where
/// the product would.
fn mul_div(a: i128, b: i128, whole: i128) -> (i128, i128) {
    if let Some(product) = a.checked_mul(b) {
        return (product / whole, product % whole);
    }
    // Schoolbook: quotient and rest of (prefix of a) * b, one bit of a at a time.
    let (mut quotient, mut rest) = (0i128, 0i128);
    for bit in (0..127).rev() {
        quotient *= 2;
        let (twice, over) = if rest >= whole - rest { (rest - (whole - rest), 1) } else { (rest * 2, 0) };
        quotient += over;
        rest = twice;
        if (a >> bit) & 1 == 1 {
            let (sum, over) = if rest >= whole - b { (rest - (whole - b), 1) } else { (rest + b, 0) };
            quotient += over;
            rest = sum;
        }
    }
    (quotient, rest)
}

impl Add for Money {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Money {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Neg for Money {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

/// At least two decimals, at most six: `300000.00`, `2.95`, `0.0612`.
impl fmt::Display for Money {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let micros = self.0.unsigned_abs();
        let (units, part) = (micros / 1_000_000, format!("{:06}", micros % 1_000_000));
        let (cents, rest) = part.split_at(2);
        write!(out, "{sign}{units}.{cents}{}", rest.trim_end_matches('0'))
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self}")
    }
}

/// A currency by its three-letter code (ISO 4217), taken as written: nothing is converted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// US dollar, the currency of the catalogue.
    pub const USD: Self = Self(*b"USD");

    /// The currency of a code of three upper-case letters.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        let letters: [u8; 3] = code.as_bytes().try_into().ok()?;
        letters.iter().all(u8::is_ascii_uppercase).then_some(Self(letters))
    }

    /// The three letters.
    #[must_use]
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a currency is three ASCII letters")
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_written_exactly() {
        let cases = [(2.95, "2.95"), (0.0612, "0.0612"), (300_000.0, "300000.00"), (0.1, "0.10")];
        for (decimal, text) in cases {
            assert_eq!(Money::from_decimal(decimal).unwrap().to_string(), text);
        }
        for wrong in [-0.01, f64::NAN, f64::INFINITY, 1e13] {
            assert_eq!(Money::from_decimal(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn scaling_rounds_once_half_away_from_zero() {
        let cases =
            [(10, 1, 4, 3), (10, 1, 3, 3), (11, 1, 3, 4), (-10, 1, 4, -3), (5, 2, 2, 5), (1, 1, 3, 0)];
        for (micros, numerator, denominator, expected) in cases {
            let scaled = Money::from_micros(micros).scaled(numerator, denominator);
            assert_eq!(scaled, Some(Money::from_micros(expected)), "{micros} * {numerator} / {denominator}");
        }
        assert_eq!(Money::ZERO.scaled(1, 0), None);
    }

    #[test]
    fn fractions_are_reduced_and_rounded_once() {
        let year = 31_557_600_000_000i128;
        let price = Money::from_decimal(4e6).unwrap();
        let shares = [(85_000, 1_000_000), (1_150_000, 2_000_000), (100_000 * 3 * year, year)];
        assert_eq!(price.times(&shares).unwrap().to_string(), "58650000000.00");
        assert_eq!(Money::from_micros(10).times(&[(1, 2), (1, 2)]), Some(Money::from_micros(3)));
        assert_eq!(Money::from_micros(10).times(&[(1, 0)]), None);
    }

    #[test]
    fn parts_of_a_split_sum_to_the_whole() {
        let hundred = Money::from_micros(100);
        let parts = |amount: Money, weights: &[i128]| -> Vec<i128> {
            amount.split(weights).into_iter().map(Money::micros).collect()
        };
        assert_eq!(parts(hundred, &[1, 1, 1]), [34, 33, 33]);
        assert_eq!(parts(-hundred, &[1, 1, 1]), [-34, -33, -33]);
        assert_eq!(parts(hundred, &[0, 0]), [0, 100]);
        assert_eq!(parts(hundred, &[2, 3, 0]), [40, 60, 0]);
        // Beyond the range of products: hours of a large site for many years.
        let (large, whole) = (Money::from_micros(1 << 70), 1i128 << 100);
        let weights = [whole / 3, whole - whole / 3 - 7, 7];
        let split = large.split(&weights);
        assert_eq!(split.iter().copied().sum::<Money>(), large);
        assert_eq!(mul_div(1 << 70, whole / 2, whole), (1 << 69, 0));
        assert!((split[0].micros() - (1i128 << 70) / 3).abs() <= 1);
    }

    #[test]
    fn a_currency_is_three_capitals() {
        assert_eq!(Currency::from_code("USD"), Some(Currency::USD));
        for wrong in ["usd", "US", "EURO", "U$D", ""] {
            assert_eq!(Currency::from_code(wrong), None, "{wrong}");
        }
    }
}
