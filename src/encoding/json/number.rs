//! Numbers, exactly: JSON writes decimals, and a binary float in between would move them.

/// The text of a checked JSON number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number<'j>(pub(super) &'j str);

impl<'j> Number<'j> {
    /// The number as written.
    #[must_use]
    pub fn as_written(&self) -> &'j str {
        self.0
    }

    /// The integer it is, whatever its spelling: `10`, `1e1` and `10.0` are the same number.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match self.floor_and_ceil(i64::MAX) {
            Some((floor, ceil)) if floor == ceil => Some(floor),
            _ => None,
        }
    }

    /// The whole numbers around it; `None` where it lies beyond `magnitude_max` in either direction.
    #[must_use]
    #[inline]
    pub fn floor_and_ceil(&self, magnitude_max: i64) -> Option<(i64, i64)> {
        let bytes = self.0.as_bytes();
        // The usual date: up to 18 digits cannot overflow.
        if bytes.len() <= 18 && bytes.iter().all(u8::is_ascii_digit) {
            let whole = bytes
                .iter()
                .fold(0, |whole: i64, &digit| whole * 10 + i64::from(digit - b'0'));
            return (whole <= magnitude_max).then_some((whole, whole));
        }
        self.exact_floor_and_ceil(magnitude_max)
    }

    fn exact_floor_and_ceil(&self, magnitude_max: i64) -> Option<(i64, i64)> {
        let (negative, magnitude) = match self.0.strip_prefix('-') {
            Some(magnitude) => (true, magnitude),
            None => (false, self.0),
        };
        let (mantissa, exponent) = magnitude.split_once(['e', 'E']).unwrap_or((magnitude, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));

        // A number has at most 32 bytes, so its digits fit 128 bits.
        let digits = whole.bytes().chain(fraction.bytes());
        let digits = digits.fold(0, |sum: u128, digit| sum * 10 + u128::from(digit - b'0'));
        if digits == 0 {
            return Some((0, 0));
        }
        // An exponent too long for 32 bits is as good as the largest: far out, or next to zero.
        let sign = if exponent.starts_with('-') { -1 } else { 1 };
        let power = exponent
            .trim_start_matches(['+', '-'])
            .parse()
            .unwrap_or(i32::MAX / 2);
        let power = sign * power.min(i32::MAX / 2) - i32::try_from(fraction.len()).ok()?;

        let (below, above) = if power >= 0 {
            let scale = 10_u128.checked_pow(power.unsigned_abs())?;
            let exact = digits.checked_mul(scale)?;
            (exact, exact)
        } else {
            match 10_u128.checked_pow(power.unsigned_abs()) {
                Some(scale) => (digits / scale, digits.div_ceil(scale)),
                None => (0, 1),
            }
        };
        let magnitude_max = u128::try_from(magnitude_max).ok()?;
        if above > magnitude_max {
            return None;
        }
        let (below, above) = (i64::try_from(below).ok()?, i64::try_from(above).ok()?);
        Some(if negative {
            (-above, -below)
        } else {
            (below, above)
        })
    }
}
