//! How a gateway tells the driver's requests apart: by the driver's own headers.

use super::way::{CLASS, DEADLINE, DRAW, ESTIMATE, LIMIT, TENANT, class_header};
use crate::live::gateway::ClassRule;
use crate::workload::ClassSettings;

/// A rule for each class, in their order: a gateway with these decides by what the simulated one knows of a request.
#[must_use]
pub fn class_rules(classes: &[ClassSettings]) -> Vec<ClassRule> {
    classes.iter().map(rule).collect()
}

fn rule(class: &ClassSettings) -> ClassRule {
    let name = class_header(&class.name).to_str().map(ToOwned::to_owned).unwrap_or_default();
    ClassRule {
        name: class.name.clone(),
        header: [(CLASS.to_owned(), name)].into(),
        priority: class.priority,
        deadline_header: Some(DEADLINE.to_owned()),
        limit_header: Some(LIMIT.to_owned()),
        estimate_header: Some(ESTIMATE.to_owned()),
        tenant_header: Some(TENANT.to_owned()),
        draw_header: Some(DRAW.to_owned()),
        ..ClassRule::default()
    }
}
