use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;

use super::pressure::{Hysteresis, Pressure};
use super::thresholds::{Shortage, Thresholds};
use crate::clock::Clock;
use crate::machine::MachineUse;

/// Between two looks, as the kubelet's.
const PERIOD: Duration = Duration::from_secs(10);

/// Watches what is left of the machine.
pub(crate) struct Evictor {
    pub(crate) clock: Clock,
    pub(crate) data_dir: PathBuf,
    pub(crate) thresholds: Thresholds,
    pub(crate) hysteresis: Hysteresis,
    /// What the node is short of.
    pub(crate) pressure: watch::Sender<Pressure>,
}

impl Evictor {
    /// Looks again and again. Ends never.
    pub(crate) async fn run(mut self) {
        loop {
            for shortage in self.look() {
                let Shortage { signal, available, threshold } = shortage;
                tracing::warn!(signal = signal.name(), available, threshold, "the node runs short");
            }
            tokio::time::sleep(PERIOD).await;
        }
    }

    /// What is short now; tells the pressure.
    fn look(&mut self) -> Vec<Shortage> {
        let shortages = self.thresholds.met(&MachineUse::read(&self.data_dir));
        let pressure = self.hysteresis.look(&shortages, self.clock.now());
        self.pressure.send_if_modified(|before| std::mem::replace(before, pressure) != pressure);
        shortages
    }
}
