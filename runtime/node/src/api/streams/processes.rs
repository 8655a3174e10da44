//! What the tool `ps` is told: the containers of the Pod, as a table.

use jiff::Timestamp;

use crate::pods::PodView;
use crate::tools;

/// Where the tool finds the table.
const TABLE: &str = "CAROB_PROCESSES";

/// The environment that a command gets beside its container's.
pub(super) fn environment(view: &PodView, command: &[String]) -> Vec<(String, String)> {
    match command.first().and_then(|name| tools::find(name)) {
        Some("ps") => vec![(TABLE.to_owned(), table(view, Timestamp::now()))],
        _ => Vec::new(),
    }
}

fn table(view: &PodView, now: Timestamp) -> String {
    let head = ["CONTAINER", "STATE", "RUN", "CPU", "MEMORY", "REQUESTS", "IMAGE"].map(str::to_owned);
    let rows = view.containers.iter().map(|brief| {
        let usage = brief.running.as_ref().map(|container| container.usage());
        let used = |show: &dyn Fn(crate::runtime::Usage) -> String| usage.map_or_else(|| "-".to_owned(), show);
        [
            brief.name.clone(),
            if usage.is_some() {
                "running"
            } else if brief.run.is_some() {
                "ended"
            } else {
                "waiting"
            }
            .to_owned(),
            brief.run.map_or_else(|| "-".to_owned(), |run| run.to_string()),
            used(&|usage| format!("{:.2}s", usage.cpu.as_secs_f64())),
            used(&|usage| format!("{:.1}Mi", usage.memory_bytes as f64 / f64::from(1 << 20))),
            used(&|usage| usage.requests.to_string()),
            image(view, &brief.name),
        ]
    });
    let rows: Vec<[String; 7]> = std::iter::once(head).chain(rows).collect();
    let time = now.strftime("%Y-%m-%d %H:%M:%S");
    let pod = view.pod.metadata.name.as_deref().unwrap_or_default();
    format!("Pod {pod} at {time} UTC\n{}", aligned(&rows))
}

fn image(view: &PodView, name: &str) -> String {
    let Some(spec) = &view.pod.spec else { return String::new() };
    let own = spec.init_containers.iter().flatten().chain(&spec.containers);
    let own = own.map(|container| (&container.name, &container.image));
    let ephemeral = spec.ephemeral_containers.iter().flatten().map(|container| (&container.name, &container.image));
    let mut all = own.chain(ephemeral);
    all.find(|(own, _)| *own == name).and_then(|(_, image)| image.clone()).unwrap_or_default()
}

fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::aligned;

    #[test]
    fn columns_are_aligned() {
        let rows = [["A", "B"], ["long", "x"]].map(|row| row.map(str::to_owned));
        assert_eq!(aligned(&rows), "A     B\nlong  x\n");
    }
}
