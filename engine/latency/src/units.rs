//! Nanoseconds for people: three significant digits and a unit.

/// `850 ns`, `12.3 us`, `1.50 ms`, `2.00 s`.
pub(crate) fn human(ns: u64) -> String {
    const UNITS: [(&str, f64); 4] = [("ns", 1.0), ("us", 1e3), ("ms", 1e6), ("s", 1e9)];
    let fits = |(_, size): &&(&str, f64)| ns as f64 / size < 999.5;
    let (unit, size) = UNITS.iter().find(fits).unwrap_or(&UNITS[3]);
    let value = ns as f64 / size;
    let digits = match value {
        _ if *unit == "ns" => 0,
        value if value < 9.995 => 2,
        value if value < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {unit}")
}

/// `1,234,567`.
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_and_a_unit() {
        let pairs = [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1.00 us"),
            (9_994, "9.99 us"),
            (9_996, "10.0 us"),
            (12_345, "12.3 us"),
            (99_960, "100 us"),
            (999_400, "999 us"),
            (999_600, "1.00 ms"),
            (1_500_000_000, "1.50 s"),
            (60_000_000_000, "60.0 s"),
            (5_000_000_000_000, "5000 s"),
        ];
        for (ns, text) in pairs {
            assert_eq!(human(ns), text);
        }
    }

    #[test]
    fn counts_are_grouped() {
        let pairs = [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ];
        for (count, text) in pairs {
            assert_eq!(grouped(count), text);
        }
    }
}
