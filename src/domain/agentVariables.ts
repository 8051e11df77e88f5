/**
 * Variables that tell that an agent, and no person, runs a command.
 *
 * What a person alone may do refuses under them. It keeps out accidents, not a program that
 * unsets them.
 */
const markers = /^(?:AI_AGENT|CLAUDECODE|CURSOR_AGENT|GEMINI_CLI|(?:CODEX|OPENCLAW)_(?!HOME$).+)$/

/** Returns the name of one that is set; undefined if none is. */
export const agentVariable = (environment: Readonly<Record<string, string | undefined>>): string | undefined =>
  Object.keys(environment).find((name) => markers.test(name) && (environment[name] ?? "") !== "")
