/**
 * What the server says of itself in the handshake. It is answered before the libraries of the server are loaded.
 */
import { version } from "../../../version.ts"

export const serverInfo = { name: "agent-secrets", version }

export const instructions =
  "Secrets of this machine, for programs. Run a program with run_with_secrets: it gets the values in its environment, " +
  "and its output comes back with *** in their place. Values are never shown. Do not ask for a value in the conversation, " +
  "and do not look for one in files. list_secrets has the names. If one is missing or does not work, use request_secret: " +
  "the person then stores it outside of the conversation."

/** The versions with a handshake; the first is the answer to a client that asks for another one. */
const handshakeVersions = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"] as const
type HandshakeVersion = (typeof handshakeVersions)[number]

/**
 * Returns the version to speak with a client. That of 2025-06-18 has no word for opening an address, so a client that can
 * do so gets the next one, which such clients accept.
 */
export const versionFor = (asked: string, opensAddresses: boolean): HandshakeVersion =>
  asked === "2025-06-18" && opensAddresses
    ? handshakeVersions[0]
    : (handshakeVersions.find((one) => one === asked) ?? handshakeVersions[0])
