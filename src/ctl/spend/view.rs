//! How are sums shown? As a table, for programs, or as bars in the terminal.

use std::io::{self, Write};

use llm_core::cost::Pico;
use serde_json::json;

use super::{By, Sum, Sums};
use crate::table;

/// The longest bar.
const BAR: u128 = 40;

const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

fn header(by: &[By]) -> Vec<&'static str> {
    let groups = by.iter().map(|by| by.name());
    groups.chain(["unit", "requests", "input_tokens", "output_tokens", "cost"]).collect()
}

fn fields(key: &[String], sum: &Sum) -> Vec<String> {
    let numbers = [sum.requests, sum.prompt_tokens, sum.completion_tokens].map(|n| n.to_string());
    key.iter().cloned().chain(numbers).chain([sum.cost.to_string()]).collect()
}

/// For people.
pub fn table(by: &[By], sums: &Sums, out: &mut dyn Write) -> io::Result<()> {
    let mut view = table::new(&header(by));
    for (key, sum) in sums {
        view.add_row(fields(key, sum));
    }
    writeln!(out, "{view}")
}

/// For spreadsheets (RFC 4180).
pub fn csv(by: &[By], sums: &Sums, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", header(by).join(","))?;
    for (key, sum) in sums {
        let line: Vec<_> = fields(key, sum).iter().map(|field| csv_field(field)).collect();
        writeln!(out, "{}", line.join(","))?;
    }
    Ok(())
}

fn csv_field(field: &str) -> String {
    // A spreadsheet would run what begins so; names may come from clients.
    let guarded = field.starts_with(['=', '+', '-', '@']) && field.len() > 1;
    let field = if guarded { format!("'{field}") } else { field.to_owned() };
    if field.contains([',', '"', '\n', '\r']) {
        return format!("\"{}\"", field.replace('"', "\"\""));
    }
    field
}

/// For programs; money is text, so that no reader makes a float of it.
pub fn json(by: &[By], sums: &Sums, out: &mut dyn Write) -> io::Result<()> {
    let rows: Vec<_> = sums
        .iter()
        .map(|(key, sum)| {
            let names = by.iter().map(|by| by.name()).chain(["unit"]);
            let mut row: serde_json::Map<_, _> =
                names.zip(key).map(|(name, value)| (name.to_owned(), json!(value))).collect();
            row.insert("requests".to_owned(), json!(sum.requests));
            row.insert("input_tokens".to_owned(), json!(sum.prompt_tokens));
            row.insert("output_tokens".to_owned(), json!(sum.completion_tokens));
            row.insert("cost".to_owned(), json!(sum.cost.to_string()));
            row
        })
        .collect();
    serde_json::to_writer_pretty(&mut *out, &rows)?;
    writeln!(out)
}

/// Bars, unit by unit: amounts of two units cannot be compared.
pub fn chart(sums: &Sums, out: &mut dyn Write) -> io::Result<()> {
    let mut units: Vec<&str> =
        sums.keys().filter_map(|key| key.last()).map(String::as_str).collect();
    units.sort_unstable();
    units.dedup();
    for unit in units {
        let own: Vec<_> = sums
            .iter()
            .filter(|(key, _)| key.last().map(String::as_str) == Some(unit))
            .map(|(key, sum)| {
                let groups = key.get(..key.len().saturating_sub(1)).unwrap_or_default();
                let name = if groups.is_empty() { "all".to_owned() } else { groups.join(" ") };
                (name, sum.cost)
            })
            .collect();
        let widest = own.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        let most = own.iter().map(|(_, cost)| *cost).max().unwrap_or(Pico::ZERO);
        let bold = anstyle::Style::new().bold();
        let blue = anstyle::Style::new().fg_color(Some(anstyle::AnsiColor::Blue.into()));
        writeln!(out, "{bold}{unit}{bold:#}")?;
        for (name, cost) in own {
            writeln!(out, "  {name:widest$} {blue}{}{blue:#} {cost}", bar(cost, most))?;
        }
    }
    Ok(())
}

fn bar(cost: Pico, most: Pico) -> String {
    let eighths = cost.0.saturating_mul(BAR * 8).checked_div(most.0).unwrap_or(0);
    let whole = usize::try_from(eighths / 8).unwrap_or(0);
    let rest = usize::try_from(eighths % 8).unwrap_or(0);
    "█".repeat(whole) + EIGHTHS.get(rest).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_in_proportion() {
        let unit = |n: u128| Pico(n);
        assert_eq!(bar(unit(8), unit(8)).chars().count(), 40);
        assert_eq!(bar(unit(4), unit(8)).chars().count(), 20);
        assert_eq!(bar(unit(1), unit(320)), "▏");
        assert_eq!(bar(Pico::ZERO, Pico::ZERO), "");
    }

    #[test]
    fn a_field_cannot_break_a_line_or_start_a_formula() {
        assert_eq!(csv_field("a,\"b\"\n"), "\"a,\"\"b\"\"\n\"");
        assert_eq!(csv_field("=1+1"), "'=1+1");
        assert_eq!(csv_field("-"), "-");
    }
}
