//! Windows: what its completion ports can do.

use super::System;
use crate::report::Lines;
use crate::system;
use serde::{Deserialize, Serialize};

/// What there is to tell here beside the backends.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Facts {
    /// Wine's version, if this is Wine; `kernel` is then the Windows that it stands for.
    wine: Option<String>,
    skip_on_success: Feature,
    /// FileReplaceCompletionInformation.
    leave_port: Feature,
    /// The providers of TCP sockets.
    providers: Vec<Provider>,
}

/// Something that a system has or has not.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Feature {
    available: bool,
    /// Why not; empty if available.
    reason: String,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Provider {
    name: String,
    /// Its sockets are handles of the file system's.
    ifs_handles: bool,
}

pub fn system() -> System {
    System { system: "Windows".into(), kernel: system::version(), machine: system::machine().into() }
}

impl Facts {
    pub fn look() -> Facts {
        let providers = system::tcp_providers().map(|found| {
            found.into_iter().map(|found| Provider { name: found.name, ifs_handles: found.has_file_handles }).collect()
        });
        Facts {
            wine: system::wine_version(),
            skip_on_success: skipping(&providers),
            leave_port: feature(system::leaves_its_port().map_err(|error| error.to_string())),
            providers: providers.unwrap_or_default(),
        }
    }

    pub fn add_facts(&self, lines: &mut Lines) {
        if let Some(version) = &self.wine {
            lines.add("", format!("in truth Wine {version}"));
        }
        lines.heading("completion ports");
        let skipping = "what succeeds at once needs no completion";
        lines.add("  skipping", feature_text(&self.skip_on_success, skipping, "every operation sends a completion"));
        let leaving = "a socket can be handed back and added again";
        lines.add("  handing", feature_text(&self.leave_port, leaving, "a socket handed back stays tied to its port"));
        for provider in &self.providers {
            let handles = if provider.ifs_handles { "file handles" } else { "no file handles" };
            lines.add("  provider", format!("{}: {handles}", provider.name));
        }
    }

    /// Sockets are limited by memory alone.
    pub fn add_limits(&self, _: &mut Lines) {}
}

/// Completions may be skipped if no provider's sockets are of its own making: see
/// [KB2568167](https://support.microsoft.com/kb/2568167).
fn skipping(providers: &std::io::Result<Vec<Provider>>) -> Feature {
    let providers = match providers {
        Ok(providers) => providers,
        Err(error) => return feature(Err(format!("the providers are not known: {error}"))),
    };
    match providers.iter().find(|provider| !provider.ifs_handles) {
        Some(provider) => feature(Err(format!("the sockets of {} are no file handles", provider.name))),
        None => feature(system::skips_on_success().map_err(|error| error.to_string())),
    }
}

fn feature(available: Result<(), String>) -> Feature {
    Feature { available: available.is_ok(), reason: available.err().unwrap_or_default() }
}

fn feature_text(feature: &Feature, with: &str, without: &str) -> String {
    if feature.available { with.into() } else { format!("{without} ({})", feature.reason) }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn facts() -> Facts {
        Facts {
            wine: Some("8.0".into()),
            skip_on_success: feature(Ok(())),
            leave_port: feature(Err("the request is not supported".into())),
            providers: vec![Provider { name: "TCP/IP".into(), ifs_handles: true }],
        }
    }

    #[test]
    fn the_text_tells_every_fact() {
        let mut lines = Lines::default();
        facts().add_facts(&mut lines);
        let text = lines.text();
        for part in [
            "in truth Wine 8.0\n",
            "  skipping   what succeeds at once needs no completion\n",
            "  handing    a socket handed back stays tied to its port (the request is not supported)\n",
            "  provider   TCP/IP: file handles\n",
        ] {
            assert!(text.contains(part), "'{part}' is missing in\n{text}");
        }
    }

    #[test]
    fn one_provider_without_file_handles_forbids_skipping() {
        let provider = |name: &str, ifs_handles| Provider { name: name.into(), ifs_handles };
        let skipping = skipping(&Ok(vec![provider("TCP/IP", true), provider("Layered", false)]));
        assert_eq!(
            (skipping.available, skipping.reason.as_str()),
            (false, "the sockets of Layered are no file handles")
        );
    }
}
