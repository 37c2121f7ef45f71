//! Decimal numbers as people and programs write them, and PostgreSQL's `numeric`, which holds each digit of them.

/// The most digits before and after the point that `numeric` holds.
/// <https://www.postgresql.org/docs/current/datatype-numeric.html>
const MOST_WHOLE: usize = 131_072;
const MOST_FRACTION: usize = 16_383;
/// The digits in one digit of `numeric`, whose base is 10,000.
const GROUP: usize = 4;
/// The mark of a negative `numeric`.
const NEGATIVE: u16 = 0x4000;

/// A decimal number without an exponent, by its digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal<'a> {
    is_negative: bool,
    /// The digits before the point, without zeros at the start.
    whole: &'a str,
    /// The digits after the point, as they came.
    fraction: &'a str,
}

/// Why a text is no [`Decimal`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotDecimal {
    /// It is no number of this form.
    Form,
    /// It has more digits than `numeric` holds.
    Digits,
}

impl<'a> Decimal<'a> {
    /// Parses `12`, `-12.50`, `+.5`, `5.`: a sign, digits, a point, digits. No blanks, no commas, no exponent.
    pub fn parse(text: &'a str) -> Result<Self, NotDecimal> {
        let (is_negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !(are_digits(whole) && are_digits(fraction)) || (whole.is_empty() && fraction.is_empty()) {
            return Err(NotDecimal::Form);
        }
        let whole = whole.trim_start_matches('0');
        if whole.len() > MOST_WHOLE || fraction.len() > MOST_FRACTION {
            return Err(NotDecimal::Digits);
        }
        Ok(Self {
            is_negative,
            whole,
            fraction,
        })
    }

    /// Whether PostgreSQL writes the number as `text`, which it was parsed from.
    pub fn is_written_as(&self, text: &str) -> bool {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let has_whole = if self.whole.is_empty() {
            unsigned.starts_with('0') && !unsigned.starts_with("00")
        } else {
            unsigned.starts_with(self.whole)
        };
        has_whole && !unsigned.ends_with('.') && !(self.is_negative && self.is_zero())
    }

    /// Whether it is a whole number: no point, or only zeros after it.
    pub fn is_whole(&self) -> bool {
        self.fraction.bytes().all(|digit| digit == b'0')
    }

    fn is_zero(&self) -> bool {
        self.whole.is_empty() && self.is_whole()
    }

    /// Appends it in the binary format of `numeric`.
    pub fn write(&self, into: &mut Vec<u8>) {
        // The digits of the whole part fill its groups from the right, those of the fraction from the left.
        let first = self.whole.len() % GROUP;
        let (head, tail) = self.whole.as_bytes().split_at(first);
        let heads = (!head.is_empty()).then_some(head);
        let wholes = heads.into_iter().chain(tail.chunks(GROUP)).map(number);
        let fractions = self.fraction.as_bytes().chunks(GROUP);
        let fractions = fractions.map(|digits| {
            let missing = u32::try_from(GROUP - digits.len()).unwrap_or(0);
            number(digits) * 10_u16.pow(missing)
        });
        let begin = into.len();
        into.extend_from_slice(&[0; 8]);
        let mut weight = i16::try_from(self.whole.len().div_ceil(GROUP)).unwrap_or(i16::MAX) - 1;
        let mut end = into.len();
        for group in wholes.chain(fractions) {
            if group == 0 && into.len() == begin + 8 {
                weight -= 1;
                continue;
            }
            into.extend_from_slice(&group.to_be_bytes());
            if group != 0 {
                end = into.len();
            }
        }
        into.truncate(end);
        let groups = u16::try_from((end - begin - 8) / 2).unwrap_or(u16::MAX);
        let weight = if groups == 0 { 0 } else { weight };
        let sign = if self.is_negative && groups > 0 {
            NEGATIVE
        } else {
            0
        };
        let scale = u16::try_from(self.fraction.len()).unwrap_or(u16::MAX);
        let head = &mut into[begin..begin + 8];
        head[..2].copy_from_slice(&groups.to_be_bytes());
        head[2..4].copy_from_slice(&weight.to_be_bytes());
        head[4..6].copy_from_slice(&sign.to_be_bytes());
        head[6..].copy_from_slice(&scale.to_be_bytes());
    }
}

/// A few digits as a number.
fn number(digits: &[u8]) -> u16 {
    digits
        .iter()
        .fold(0, |number, digit| number * 10 + u16::from(digit - b'0'))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what it needs by panicking")]

    use super::*;

    /// Count of groups, weight, sign, scale, groups.
    fn written(text: &str) -> Vec<u16> {
        let mut bytes = Vec::new();
        Decimal::parse(text).unwrap().write(&mut bytes);
        let pairs = bytes.chunks(2);
        pairs
            .map(|pair| u16::from_be_bytes(pair.try_into().unwrap()))
            .collect()
    }

    #[test]
    fn numbers_have_the_form_of_postgresql() {
        assert_eq!(written("0"), [0, 0, 0, 0]);
        assert_eq!(written("-0.00"), [0, 0, 0, 2]);
        assert_eq!(written("1"), [1, 0, 0, 0, 1]);
        assert_eq!(written("-12.5"), [2, 0, NEGATIVE, 1, 12, 5000]);
        assert_eq!(written("10000"), [1, 1, 0, 0, 1]);
        assert_eq!(written("123456789"), [3, 2, 0, 0, 1, 2345, 6789]);
        assert_eq!(written("0.00001234"), [1, u16::MAX - 1, 0, 8, 1234]);
        assert_eq!(written("007.10"), [2, 0, 0, 2, 7, 1000]);
    }

    #[test]
    fn other_texts_are_no_numbers() {
        for text in [
            "", "-", ".", "1e3", "12,50", "1 000", " 1", "NaN", "Infinity", "١", "0x1", "1.2.3", "--1",
        ] {
            assert_eq!(Decimal::parse(text), Err(NotDecimal::Form), "{text}");
        }
        assert_eq!(Decimal::parse(&"9".repeat(131_073)), Err(NotDecimal::Digits));
        assert!(Decimal::parse(&"9".repeat(131_072)).is_ok());
        assert_eq!(
            Decimal::parse(&format!("0.{}", "1".repeat(16_384))),
            Err(NotDecimal::Digits)
        );
    }

    #[test]
    fn some_numbers_are_written_otherwise() {
        for (text, is_same) in [
            ("0", true),
            ("0.0", true),
            ("12.50", true),
            ("-3", true),
            ("-0", false),
            ("-0.0", false),
            ("+1", false),
            ("007", false),
            ("00", false),
            (".5", false),
            ("-.5", false),
            ("5.", false),
            ("0.", false),
        ] {
            assert_eq!(
                Decimal::parse(text).unwrap().is_written_as(text),
                is_same,
                "{text}"
            );
        }
    }
}
