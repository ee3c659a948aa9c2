use super::problem::Problem;
use super::validate::{server_name, user_id};
use swingbridge_domain::line::Permission;

/// Checks who may do what: keys are user ids, homeservers or `*`.
pub fn check(permissions: &[(String, Permission)], problems: &mut Vec<Problem>) {
    if permissions.is_empty() {
        problems.push(
            Problem::new("permissions", "nobody may do anything")
                .cure("name users, homeservers or `*`, for example `\"example.org\": user`"),
        );
    }
    for (who, permission) in permissions {
        let path = format!("permissions.{who}");
        if who == "*" && *permission == Permission::Admin {
            problems.push(
                Problem::new(path, "makes everybody who can reach the bot an admin")
                    .cure("name the admins by their user ids"),
            );
        } else if who != "*" && !user_id(who) && !server_name(who) {
            problems.push(
                Problem::new(path, "names neither a user nor a homeserver")
                    .cure("write \"@alice:example.org\", \"example.org\" or \"*\", in quotes"),
            );
        }
    }
}
