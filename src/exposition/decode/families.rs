//! Finds the family of each sample of a text.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use prometheus::proto::{LabelPair, MetricFamily};

use super::distribution::{Distribution, Part};
use super::family::{Family, metric};
use super::family_type::{FamilyType, Role};
use super::fault::{Fault, Faults};
use super::labels::Label;
use crate::exposition::metric::reserved_label;

/// The families in the order of their first lines.
#[derive(Default)]
pub(super) struct Families<'t> {
    openmetrics: bool,
    list: Vec<Family<'t>>,
    by_name: HashMap<Cow<'t, str>, usize>,
    /// The family of the last line.
    current: usize,
    /// The distributions by a hash of family and labels. If another distribution has that hash, the next hash is used.
    distributions: HashMap<u64, DistributionIndex>,
    hasher: RandomState,
}

/// The index of a distribution in its family.
#[derive(Clone, Copy, Debug)]
pub(super) struct DistributionIndex {
    pub(super) family: usize,
    pub(super) at: usize,
}

impl<'t> Families<'t> {
    pub(super) fn new(openmetrics: bool) -> Self {
        Families { openmetrics, ..Families::default() }
    }

    pub(super) fn get_mut(&mut self, family: usize) -> Option<&mut Family<'t>> {
        self.list.get_mut(family)
    }

    /// Returns the family of this name. Samples that follow belong to it.
    pub(super) fn named(&mut self, name: Cow<'t, str>) -> &mut Family<'t> {
        let is_current = self.list.get(self.current).is_some_and(|family| family.name == name);
        if !is_current {
            self.current = match self.by_name.get(&name) {
                Some(&at) => at,
                None => self.add(name),
            };
        }
        &mut self.list[self.current]
    }

    fn add(&mut self, name: Cow<'t, str>) -> usize {
        self.list.push(Family::new(name.clone()));
        self.by_name.insert(name, self.list.len() - 1);
        self.list.len() - 1
    }

    /// Returns the family of a sample with this name, and the role of the sample. The first of these:
    ///
    /// 1. the family of the line before, if its type has such a sample,
    /// 2. the family of this name,
    /// 3. the family of this name without its suffix,
    /// 4. a new family.
    pub(super) fn assign(&mut self, name: Cow<'t, str>) -> Result<(usize, Role), Fault> {
        if let Some(role) = self.role(self.current, &name) {
            return self.assigned(self.current, role, name);
        }
        if let Some(&family) = self.by_name.get(&name) {
            let role = self.role(family, &name).ok_or(Fault::Suffix)?;
            return self.assigned(family, role, name);
        }
        let base = name.rfind('_').and_then(|cut| self.by_name.get(&name[..cut]));
        if let Some((&family, role)) = base.and_then(|base| Some((base, self.role(*base, &name)?))) {
            return self.assigned(family, role, name);
        }
        let family = self.add(name.clone());
        self.assigned(family, Role::Value, name)
    }

    fn role(&self, family: usize, name: &str) -> Option<Role> {
        let family = self.list.get(family)?;
        family.kind().role(name.strip_prefix(&*family.name)?, self.openmetrics)
    }

    fn assigned(&mut self, family: usize, role: Role, name: Cow<'t, str>) -> Result<(usize, Role), Fault> {
        self.current = family;
        if role != Role::Part {
            return Ok((family, role));
        }
        let help = self.list[family].help.clone();
        self.current = match self.by_name.get(&name) {
            Some(&part) => part,
            None => {
                let part = self.add(name.clone());
                self.list[part].help = help;
                self.list[part].kind = Some(FamilyType::Gauge);
                part
            }
        };
        let role = self.role(self.current, &name).ok_or(Fault::Suffix)?;
        Ok((self.current, role))
    }

    /// Returns whether a sample of this name shows that the text is OpenMetrics.
    ///
    /// Only there the samples of a counter have the suffix `_total` that the name in its `TYPE` line lacks. A counter with a sample
    /// of its own name is text.
    pub(super) fn is_total(&self, name: &str) -> bool {
        let base = name.strip_suffix("_total").and_then(|base| self.by_name.get(base));
        let base = base.and_then(|base| self.list.get(*base));
        base.is_some_and(|base| base.kind == Some(FamilyType::Counter) && !base.is_sampled())
            && !self.by_name.contains_key(name)
    }

    /// Returns the label that is reserved for the format.
    pub(super) fn reserved(&self, family: usize) -> Option<&'static str> {
        self.list.get(family).and_then(|family| reserved_label(family.kind().metric_type()))
    }

    pub(super) fn add_value(
        &mut self,
        family: usize,
        labels: Vec<LabelPair>,
        value: f64,
        timestamp: i64,
        line: u64,
    ) {
        let family = &mut self.list[family];
        if family.metrics.is_empty() {
            family.line = line;
        }
        family.metrics.push(metric(family.kind(), labels, value, timestamp));
    }

    pub(super) fn add_part(
        &mut self,
        index: DistributionIndex,
        part: Part,
        timestamp: i64,
    ) -> Result<(), Fault> {
        self.list[index.family].distributions[index.at].add(part, timestamp)
    }

    /// Returns the index of the distribution with these sorted labels. Adds it if there is none.
    pub(super) fn distribution(
        &mut self,
        family: usize,
        labels: &[Label<'_>],
        line: u64,
    ) -> DistributionIndex {
        let mut hash = self.hasher.hash_one((family, labels));
        loop {
            match self.distributions.get(&hash) {
                Some(&index) if self.has(index, family, labels) => return index,
                Some(_) => hash = hash.wrapping_add(1),
                None => break,
            }
        }
        let distributions = &mut self.list[family].distributions;
        let index = DistributionIndex { family, at: distributions.len() };
        let distribution = Distribution::new(labels, distributions.last(), line);
        distributions.push(distribution);
        self.distributions.insert(hash, index);
        index
    }

    fn has(&self, index: DistributionIndex, family: usize, labels: &[Label<'_>]) -> bool {
        index.family == family && self.list[family].distributions[index.at].has(labels)
    }

    /// Returns the families with samples, and skips those that cannot be served.
    pub(super) fn finish(self, faults: &mut Faults) -> Vec<MetricFamily> {
        let Families { openmetrics, list, by_name, .. } = self;
        // The names of samples with a suffix, unless another family has the name. The loop below consumes the families.
        let named = |family: &Family<'_>| {
            let suffix = family.kind().suffix(openmetrics);
            let name = (!suffix.is_empty()).then(|| format!("{}{suffix}", family.name))?;
            let is_taken = by_name.get(&*name).is_some_and(|other| list[*other].is_sampled());
            Some((!is_taken).then_some(name))
        };
        let names: Vec<Option<Option<String>>> = list.iter().map(named).collect();
        let mut families = Vec::with_capacity(list.len());
        for (family, name) in list.into_iter().zip(names) {
            match name {
                None => families.extend(family.finish(None, faults)),
                Some(Some(name)) => families.extend(family.finish(Some(name), faults)),
                Some(None) if family.is_sampled() => faults.add(Fault::NameTaken, family.line),
                Some(None) => {}
            }
        }
        families
    }
}
