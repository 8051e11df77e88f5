/** How the reason ends where a daemon of a team tries nothing again until a person has acted. Without libraries, for `secrets status`. */
export const needsRestart = "restart the daemon when that is settled"
