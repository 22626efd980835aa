//! What a class asks of a metered API.

use super::Report;
use super::class::dist;
use crate::workload::ClassSettings;

pub(super) fn check(path: &str, class: &ClassSettings, report: &mut Report<'_>) {
    dist(&format!("{path}.usage_ratio"), class.usage_ratio.as_ref(), report);
    dist(&format!("{path}.grounded_usage_ratio"), class.grounded_usage_ratio.as_ref(), report);
    if class.vantage_policy.is_some_and(|weights| weights.all().iter().all(|(weight, _)| *weight == 0.0)) {
        nothing(&format!("{path}.vantage_policy"), "vantage policies", "{ ALS_ONLY = 1, PROXY_ONLY = 1 }", report);
    }
    if class.proxy_mode.is_some_and(|weights| weights.all().iter().all(|(weight, _)| *weight == 0.0)) {
        nothing(&format!("{path}.proxy_mode"), "proxy modes", "{ rotating = 1, backbone = 1 }", report);
    }
    countries(path, class, report);
    if class.grounded_usage_ratio.is_some() && class.grounded.is_none() {
        let help = "give the share of grounded requests: `grounded = 0.5`";
        report.error(&format!("{path}.grounded_usage_ratio"), "no request of this class is grounded", help);
    }
}

fn countries(path: &str, class: &ClassSettings, report: &mut Report<'_>) {
    for (i, share) in class.country.iter().enumerate() {
        if class.country[..i].iter().any(|earlier| earlier.country == share.country) {
            let message = format!("the country {} is there twice", share.country);
            report.error(&format!("{path}.country[{i}].country"), message, "add the weights up in one of them");
        }
    }
    if !class.country.is_empty() && class.country.iter().all(|share| share.weight.value() == 0.0) {
        nothing(&format!("{path}.country"), "countries", "[{ country = \"US\" }]", report);
    }
}

fn nothing(path: &str, what: &str, like: &str, report: &mut Report<'_>) {
    let help = format!("make at least one of them more than 0, like {like}, or take the setting away");
    report.error(path, format!("the weights of all {what} are zero"), help);
}
