//! The table of the effective configuration in `tipring check`. One line a key without borders or
//! wrapping, so that `grep` and `awk` read it as people do. What the keys are is `config`'s business.

use comfy_table::{ContentArrangement, Table, presets};

use crate::config::Setting;

/// Every key, its value, and where that came from.
pub(crate) fn table(settings: &[Setting]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["key", "value", "from"]);
    for setting in settings {
        let value = match setting.value.as_str() {
            "" => "not set",
            value => value,
        };
        table.add_row([&setting.key, value, &setting.source.to_string()]);
    }
    let text = table.to_string();
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n")
}
