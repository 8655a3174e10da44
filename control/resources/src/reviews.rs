//! Reviews: questions about who someone is.

use crate::resource::{Resource, Review, Scope};
use crate::table::{NAME, name};
use crate::{Column, Strategy};
use jiff::Timestamp;
use serde_json::Value;

pub(crate) const SELF_SUBJECT_REVIEWS: Resource =
    of("SelfSubjectReview", "selfsubjectreviews", "selfsubjectreview", &Question(Review::SelfSubject));
pub(crate) const TOKEN_REVIEWS: Resource = of("TokenReview", "tokenreviews", "tokenreview", &Question(Review::Token));

const fn of(
    kind: &'static str,
    plural: &'static str,
    singular: &'static str,
    strategy: &'static dyn Strategy,
) -> Resource {
    Resource {
        group: "authentication.k8s.io",
        version: "v1",
        kind,
        plural,
        singular,
        short_names: &[],
        categories: &[],
        scope: Scope::Cluster,
        subresources: &[],
        storage: plural,
        strategy,
    }
}

struct Question(Review);

impl Strategy for Question {
    fn review(&self) -> Option<Review> {
        Some(self.0)
    }

    fn columns(&self) -> &'static [Column] {
        &[NAME]
    }

    fn cells(&self, object: &Value, _now: Timestamp) -> Vec<Value> {
        vec![name(object)]
    }
}
