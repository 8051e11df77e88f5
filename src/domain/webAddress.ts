/**
 * Why `fetch` would not send a request to an address. A setting with such an address is
 * rejected at the start: at run time it would look like an endpoint that is down.
 */

/** The ports that the Fetch standard blocks, and 0. */
const blockedPorts = new Set(
  (
    "0 1 7 9 11 13 15 17 19 20 21 22 23 25 37 42 43 53 69 77 79 87 95 101 102 103 104 109 110 111 113 115 117 119 123 135 " +
    "137 139 143 161 179 389 427 465 512 513 514 515 526 530 531 532 540 548 554 556 563 587 601 636 989 990 993 995 1719 " +
    "1720 1723 2049 3659 4045 4190 5060 5061 6000 6566 6665 6666 6667 6668 6669 6679 6697 10080"
  ).split(" ")
)

/** Returns what an address must be or have, as the rest of a sentence; undefined if a request can be sent to it. */
export const addressProblem = (address: string): string | undefined => {
  // A URL is parsed without its spaces, so the address that is requested would not be the one that is written.
  if (!/^https?:\/\/[^\s/\\]\S*$/iu.test(address) || !URL.canParse(address)) return "must be an http or https address"
  const url = new URL(address)
  if (url.username !== "" || url.password !== "") return "must not contain a user name or a password"
  return blockedPorts.has(url.port) ? "must have another port: fetch does not send requests to this one" : undefined
}
