//! A name server with the ways of reading its zones: transfers, the directory behind it, or whichever works.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;

use super::hidden::{self, Doubt};
use super::{Base, ReadKind, Refreshed, Version, ZoneSource, transfer};
use crate::dns::{Name, ReplyError, ServerAddress, TransferError, ZoneContents, ZoneName};
use crate::ldap::{self, Directory, Extent, LdapError};
use crate::nameserver::{Fault, Server, ServerError};

/// How zones are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By SOA query, IXFR and AXFR.
    Transfer,
    /// Over LDAP.
    Directory,
    /// By transfer, and over LDAP where the server transfers nothing.
    Either,
}

/// Where the directory is, and how it is reached.
#[derive(Debug, Clone)]
pub struct DirectorySettings {
    /// What all directory servers have in common.
    pub ldap: ldap::Settings,
    /// The one directory server; none is the name server itself, so that what is read is what takes the updates.
    pub host: Option<ServerAddress>,
    /// Its port, where it is the name server itself.
    pub port: u16,
}

/// What the sources of all name servers share.
#[derive(Debug)]
pub struct Sources {
    way: Way,
    host: Option<ServerAddress>,
    port: u16,
    /// None where there is no Kerberos to bind with.
    ldap: Option<Arc<ldap::Settings>>,
    /// One for each name server, so that its connections are kept.
    directories: Mutex<HashMap<ServerAddress, Directory>>,
    /// Zones that were read over LDAP since this server did not transfer them; another server is asked again.
    untransferred: Mutex<HashMap<ZoneName, ServerAddress>>,
}

/// A name server as a source of zones. Clones are the same source.
#[derive(Debug, Clone)]
pub struct Source {
    server: Server,
    directory: Option<Directory>,
    shared: Arc<Sources>,
}

/// What a version of a zone is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Marker {
    /// Its serial, for transfers.
    Serial(u32),
    /// The directory's count of changes.
    Change(ldap::Marker),
}

/// Why a zone could not be read.
#[derive(Debug, Clone, Error)]
pub enum SourceError {
    /// By transfer.
    #[error(transparent)]
    Transfer(#[from] ServerError),
    /// Over LDAP.
    #[error(transparent)]
    Directory(#[from] LdapError),
    /// Neither way.
    #[error("neither by transfer ({}) nor over LDAP", one_line(.transfer))]
    Neither {
        /// Why not by transfer.
        transfer: ServerError,
        /// Why not over LDAP.
        #[source]
        directory: LdapError,
    },
}

impl Sources {
    /// Sources that are read in this way; `directory` is none where there is no Kerberos.
    #[must_use]
    pub fn new(way: Way, directory: Option<DirectorySettings>) -> Self {
        let (ldap, host, port) = match directory {
            Some(DirectorySettings { ldap, host, port }) => (Some(Arc::new(ldap)), host, port),
            None => (None, None, 0),
        };
        Self { way, host, port, ldap, directories: Mutex::default(), untransferred: Mutex::default() }
    }

    /// The source that this name server is.
    #[must_use]
    pub fn of(self: &Arc<Self>, server: Server) -> Source {
        let directory = self.directory(server.address());
        Source { server, directory, shared: Arc::clone(self) }
    }

    /// The directory behind a name server, unless zones are only transferred.
    pub fn directory(&self, server: &ServerAddress) -> Option<Directory> {
        let settings = self.ldap.as_ref().filter(|_| self.way != Way::Transfer)?;
        let address = self.host.clone().unwrap_or_else(|| ServerAddress { port: self.port, ..server.clone() });
        let mut directories = lock(&self.directories);
        let directory = directories
            .entry(address)
            .or_insert_with_key(|address| Directory::new(address.clone(), Arc::clone(settings)));
        Some(directory.clone())
    }

    /// Whether each name server has a directory of its own, so that another one may do better.
    #[must_use]
    pub const fn has_many_directories(&self) -> bool {
        self.host.is_none()
    }

    /// How the zone is read from this name server, as far as is known.
    #[must_use]
    pub fn way_of(&self, zone: &ZoneName, server: &ServerAddress) -> Way {
        match self.way {
            Way::Either if self.ldap.is_some() && lock(&self.untransferred).get(zone) == Some(server) => Way::Directory,
            Way::Either => Way::Transfer,
            way => way,
        }
    }

    /// Closes the connections to directories.
    pub async fn close(&self) {
        let directories: Vec<Directory> = lock(&self.directories).drain().map(|(_, directory)| directory).collect();
        futures_util::future::join_all(directories.iter().map(Directory::close)).await;
    }
}

impl ZoneSource for Source {
    type Marker = Marker;
    type Error = SourceError;

    fn address(&self) -> &ServerAddress {
        self.server.address()
    }

    async fn refresh(&self, zone: &ZoneName, held: Option<Base<Marker>>) -> Result<Refreshed<Marker>, SourceError> {
        match (&self.directory, self.shared.way) {
            (None, _) | (_, Way::Transfer) => Ok(self.by_transfer(zone, held).await?),
            (Some(directory), Way::Directory) => self.by_directory(directory, zone, held).await,
            (Some(directory), Way::Either) => self.by_either(directory, zone, held).await,
        }
    }
}

impl Source {
    /// What the directory holds at these names, where the zone is read from it; none where it is not, or does not tell.
    pub async fn nodes(&self, zone: &ZoneName, names: &[Name]) -> Option<ZoneContents> {
        let is_read = self.shared.way_of(zone, self.address()) == Way::Directory;
        let directory = self.directory.as_ref().filter(|_| is_read)?;
        let told = directory.nodes(zone, names).await;
        told.unwrap_or_else(|error| {
            tracing::warn!(%zone, error = &error as &dyn std::error::Error, "the directory does not tell single names");
            None
        })
    }

    async fn by_transfer(&self, zone: &ZoneName, held: Option<Base<Marker>>) -> Result<Refreshed<Marker>, ServerError> {
        let held = held.and_then(|held| match held.version {
            Version { contents, marker: Marker::Serial(marker) } => {
                Some(Base { version: Version { contents, marker }, doubtful: held.doubtful })
            }
            Version { marker: Marker::Change(_), .. } => None,
        });
        let Refreshed { version: Version { contents, marker }, kind } =
            transfer::refresh(&self.server, zone, held).await?;
        Ok(Refreshed { version: Version { contents, marker: Marker::Serial(marker) }, kind })
    }

    async fn by_either(
        &self,
        directory: &Directory,
        zone: &ZoneName,
        held: Option<Base<Marker>>,
    ) -> Result<Refreshed<Marker>, SourceError> {
        let known = lock(&self.shared.untransferred).get(zone).cloned();
        if known.as_ref() == Some(self.address()) {
            let read = self.by_directory(directory, zone, held).await;
            if matches!(&read, Err(SourceError::Directory(error)) if !error.fault.is_transport()) {
                // What the directory does not tell any more may have become a transfer's.
                lock(&self.shared.untransferred).remove(zone);
            }
            return read;
        }
        let transfer = match self.by_transfer(zone, held.clone()).await {
            Err(error) if transfers_nothing(&error.fault) => error,
            outcome => return Ok(outcome?),
        };
        match self.by_directory(directory, zone, held).await {
            Ok(refreshed) => {
                tracing::info!(%zone, server = %self.address(), reason = %transfer.fault,
                    "the server does not transfer the zone, and it is read over LDAP");
                lock(&self.shared.untransferred).insert(zone.clone(), self.address().clone());
                Ok(refreshed)
            }
            // Where another server's directory has told the zone, this one's is what fails.
            Err(SourceError::Directory(directory)) if known.is_none() => {
                Err(SourceError::Neither { transfer, directory })
            }
            Err(error) => Err(error),
        }
    }

    /// By what has changed; whole where nothing has, and yet something should have.
    async fn by_directory(
        &self,
        directory: &Directory,
        zone: &ZoneName,
        held: Option<Base<Marker>>,
    ) -> Result<Refreshed<Marker>, SourceError> {
        let doubtful = held.as_ref().is_some_and(|held| held.doubtful);
        let known = held.as_ref().map(|held| Arc::clone(&held.version.contents));
        let held = held.and_then(|held| match held.version {
            Version { contents, marker: Marker::Change(marker) } => Some((contents, marker)),
            Version { marker: Marker::Serial(_), .. } => None,
        });
        let mut read = directory.read(zone, held).await?;
        if doubtful && read.extent == Extent::Unchanged {
            read = directory.read(zone, None).await?;
        }
        if read.extent == Extent::Whole {
            let looked = hidden::look(&self.server, known.as_deref(), &read).await;
            looked.map_err(|doubt| match doubt {
                Doubt::Unanswered(error) => SourceError::Transfer(error),
                Doubt::Hidden(fault) => {
                    let (server, zone) = (directory.address().clone(), Some(zone.clone()));
                    SourceError::Directory(LdapError { server, zone, fault })
                }
            })?;
        }
        let kind = match read.extent {
            Extent::Unchanged => ReadKind::Unchanged,
            Extent::Changes | Extent::Whole => ReadKind::Ldap,
        };
        Ok(Refreshed { version: Version { contents: read.contents, marker: Marker::Change(read.marker) }, kind })
    }
}

/// Whether a server has refused a transfer, or what is one has nothing in it, as with Samba's own DNS, or nothing to
/// prove it, as with Active Directory's.
const fn transfers_nothing(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::Reply(ReplyError::Refused)
            | Fault::Transfer(
                TransferError::Reply(ReplyError::Refused | ReplyError::NotAuthoritative) | TransferError::Empty
            )
            | Fault::Transfer(TransferError::NoOpeningSoa)
            | Fault::Unverified(_)
            | Fault::SignatureGap
    )
}

impl Version<Marker> {
    /// A version that is known by its serial.
    #[must_use]
    pub fn transferred(contents: ZoneContents) -> Self {
        let marker = Marker::Serial(contents.serial());
        Self { contents: Arc::new(contents), marker }
    }
}

fn one_line(error: &ServerError) -> String {
    format!("{error}: {}", error.fault)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
