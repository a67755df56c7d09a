//! The report as pictures: bars for each work, and a curve for each thing that grows.

use super::report::{Report, Sample, Work};
use super::{Workload, subject_names};
use crate::error::{Doing, Error};
use plotters::coord::Shift;
use plotters::prelude::*;
use std::fs;
use std::path::Path;

const FONT: &str = "sans-serif";
const WIDTH: u32 = 900;
/// Of a bar with the space around it.
const BAR_HEIGHT: u32 = 30;
const CURVES_HEIGHT: u32 = 520;
const OURS: RGBColor = RGBColor(200, 60, 30);
const THEIRS: RGBColor = RGBColor(110, 130, 160);

type Drawn = Result<(), Box<dyn std::error::Error>>;

/// Writes an SVG file for each work, and one for each axis along which works differ, into a folder, which is made if it is
/// not there.
pub fn draw(report: &Report, folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder).doing("making the folder of the plots")?;
    for work in &report.works {
        let file = folder.join(format!("{}.svg", work.workload.to_string().replace(':', "-")));
        write(&file, |path| draw_bars(work, path))?;
    }
    for axis in [&CONNECTIONS, &BYTES] {
        let curves = axis.curves(report);
        if curves.iter().any(|(_, points)| points.len() > 1) {
            write(&folder.join(axis.file), |path| axis.draw(&curves, path))?;
        }
    }
    Ok(())
}

fn write(path: &Path, draw: impl FnOnce(&Path) -> Drawn) -> Result<(), Error> {
    draw(path).map_err(|error| Error::failed(format!("{}: {error}", path.display())))
}

/// Names and figures, the smallest first.
fn bars(work: &Work) -> Vec<(String, f64)> {
    let mut bars: Vec<(String, f64)> = if work.workload.is_idle() {
        work.memory.iter().map(|memory| (memory.server.clone(), memory.private_dirty_each)).collect()
    } else {
        let cpu = |server: &String| Some((server.clone(), work.median(server, Sample::cpu_ns_each)? / 1e3));
        work.servers.iter().filter_map(cpu).collect()
    };
    bars.sort_by(|(_, one), (_, other)| one.total_cmp(other));
    bars
}

fn draw_bars(work: &Work, path: &Path) -> Drawn {
    let bars = bars(work);
    let size = (WIDTH, 110 + BAR_HEIGHT * bars.len() as u32);
    let root = background(path, size)?;
    let longest = bars.iter().map(|(_, figure)| *figure).fold(0.0, f64::max);
    let what = if work.workload.is_idle() {
        "bytes of private memory a connection".to_owned()
    } else {
        format!("CPU time a {}, microseconds", work.workload.unit())
    };
    let count = bars.len() as i32;
    let mut chart = ChartBuilder::on(&root)
        .caption(work.workload.title(), (FONT, 22))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(170)
        .build_cartesian_2d(0.0..longest.max(f64::MIN_POSITIVE) * 1.15, (0..count - 1).into_segmented())?;
    let name = |place: &SegmentValue<i32>| match place {
        SegmentValue::CenterOf(at) => bars.get((count - 1 - at) as usize).map_or(String::new(), |bar| bar.0.clone()),
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .x_desc(what)
        .y_labels(bars.len())
        .y_label_formatter(&name)
        .label_style((FONT, 14))
        .draw()?;
    for (at, (server, figure)) in bars.iter().rev().enumerate() {
        let (low, high) = (SegmentValue::Exact(at as i32), SegmentValue::Exact(at as i32 + 1));
        let color = if subject_names().contains(server) { OURS } else { THEIRS };
        let mut bar = Rectangle::new([(0.0, low), (*figure, high)], color.filled());
        bar.set_margin(4, 4, 0, 0);
        chart.draw_series([bar])?;
        let text = if work.workload.is_idle() { format!("{figure:.0}") } else { format!("{figure:.3}") };
        let place = (*figure + longest * 0.01, SegmentValue::CenterOf(at as i32));
        chart.draw_series([Text::new(text, place, (FONT, 13).into_font())])?;
    }
    root.present()?;
    Ok(())
}

fn background(path: &Path, size: (u32, u32)) -> Result<DrawingArea<SVGBackend<'_>, Shift>, Box<dyn std::error::Error>> {
    let root = SVGBackend::new(path, size).into_drawing_area();
    root.fill(&WHITE)?;
    Ok(root)
}

/// Something that grows from one work to the next.
struct Axis {
    file: &'static str,
    title: &'static str,
    label: &'static str,
    /// Its value, for the works that differ in nothing else.
    value: fn(Workload) -> Option<usize>,
}

const CONNECTIONS: Axis = Axis {
    file: "growth-connections.svg",
    title: "Echo of 64 bytes",
    label: "connections",
    value: |workload| match workload {
        Workload::Echo { connections, bytes: 64, workers: 1 } => Some(connections),
        _ => None,
    },
};

const BYTES: Axis = Axis {
    file: "growth-bytes.svg",
    title: "Echo over 100 connections",
    label: "bytes of a message",
    value: |workload| match workload {
        Workload::Echo { connections: 100, bytes, workers: 1 } => Some(bytes),
        _ => None,
    },
};

/// A server and its points: value, CPU time in microseconds.
type Curve = (String, Vec<(f64, f64)>);

impl Axis {
    fn curves(&self, report: &Report) -> Vec<Curve> {
        let mut curves: Vec<Curve> = Vec::new();
        for work in &report.works {
            let Some(value) = (self.value)(work.workload) else { continue };
            for server in &work.servers {
                let Some(cpu) = work.median(server, Sample::cpu_ns_each) else { continue };
                let point = (value as f64, cpu / 1e3);
                match curves.iter_mut().find(|(name, _)| name == server) {
                    Some((_, points)) => points.push(point),
                    None => curves.push((server.clone(), vec![point])),
                }
            }
        }
        for (_, points) in &mut curves {
            points.sort_by(|one, other| one.0.total_cmp(&other.0));
        }
        curves
    }

    fn draw(&self, curves: &[Curve], path: &Path) -> Drawn {
        let root = background(path, (WIDTH, CURVES_HEIGHT))?;
        let points = || curves.iter().flat_map(|(_, points)| points.iter().copied());
        let range = |values: &mut dyn Iterator<Item = f64>| {
            values.fold((f64::INFINITY, 0.0), |(low, high): (f64, f64), value| (low.min(value), high.max(value)))
        };
        let (left, right) = range(&mut points().map(|point| point.0));
        let (low, high) = range(&mut points().map(|point| point.1));
        let mut chart = ChartBuilder::on(&root)
            .caption(self.title, (FONT, 22))
            .margin(12)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d((left..right * 1.05).log_scale(), (low * 0.9..high * 1.1).log_scale())?;
        chart
            .configure_mesh()
            .x_desc(self.label)
            .y_desc("CPU time a message, microseconds")
            .label_style((FONT, 14))
            .draw()?;
        for (number, (server, points)) in curves.iter().enumerate() {
            let color = Palette99::pick(number).to_rgba();
            let width = if subject_names().contains(server) { 4 } else { 2 };
            let style = color.stroke_width(width);
            chart
                .draw_series(LineSeries::new(points.iter().copied(), style).point_size(3))?
                .label(server)
                .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], style));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK)
            .label_font((FONT, 13))
            .draw()?;
        root.present()?;
        Ok(())
    }
}
