//! Who is measured: socket-iocp, the hand-written loops, and the peers that are found as programs.

use crate::error::{Doing, Error};
use crate::works::Service;
use crate::{own, yardstick};
use serde::{Deserialize, Serialize};
use socket_iocp::BackendKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{fs, io};

/// A server of this program's own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Own {
    /// socket-iocp.
    Subject,
    /// A hand-written loop.
    Yardstick,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Own(Own, BackendKind),
    Peer(PathBuf),
}

/// A server, and what it can do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Contestant {
    /// As tables name it.
    pub(super) name: String,
    pub(super) kind: Kind,
    services: Vec<Service>,
}

impl Contestant {
    /// Those of this program for each of these backends, then the peers of a folder.
    pub(super) fn all(backends: &[BackendKind], peers: Option<&Path>) -> Result<Vec<Contestant>, Error> {
        let own = |whose| backends.iter().map(move |kind| Contestant::own(whose, *kind));
        let mut all: Vec<Contestant> = own(Own::Yardstick).chain(own(Own::Subject)).collect();
        if let Some(folder) = peers {
            all.extend(find_peers(folder)?);
        }
        Ok(all)
    }

    fn own(whose: Own, backend: BackendKind) -> Contestant {
        let (name, services) = match whose {
            Own::Subject => (super::subject_name(backend), own::services()),
            Own::Yardstick => (super::yardstick_name(backend), yardstick::services()),
        };
        Contestant { name, kind: Kind::Own(whose, backend), services: services.to_vec() }
    }

    pub(super) fn is_yardstick(&self) -> bool {
        matches!(self.kind, Kind::Own(Own::Yardstick, _))
    }

    pub(super) fn is_subject(&self) -> bool {
        matches!(self.kind, Kind::Own(Own::Subject, _))
    }

    pub(super) fn can(&self, service: Service) -> bool {
        self.services.contains(&service)
    }
}

/// Every program in a folder, by name.
fn find_peers(folder: &Path) -> Result<Vec<Contestant>, Error> {
    let what = format!("peers in {}", folder.display());
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>).needed(&what)?;
    let mut paths: Vec<PathBuf> = entries.iter().map(fs::DirEntry::path).filter(|path| path.is_file()).collect();
    paths.sort();
    paths.into_iter().map(peer).collect()
}

/// Asks a program what it can do.
fn peer(path: PathBuf) -> Result<Contestant, Error> {
    let what = format!("{} works", path.display());
    let output = Command::new(&path).arg("works").stdin(Stdio::null()).output().needed(&what)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        return Err(Error::cannot_start(format!("{what}: {}", output.status)));
    }
    let named = |name: &str| Service::ALL.into_iter().find(|service| service.name() == name);
    let services = text.lines().filter_map(named).collect();
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Contestant { name, kind: Kind::Peer(path), services })
}
