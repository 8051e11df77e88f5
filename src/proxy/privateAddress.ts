/**
 * Addresses that no route reaches unless it says `private`: those of this machine, of its
 * networks, and those that stand for one of them in another form.
 */
import { BlockList, isIP, isIPv6 } from "node:net"

const privateRanges = new BlockList()
for (const [address, bits] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 3]
] as const) {
  privateRanges.addSubnet(address, bits, "ipv4")
}

/** The only IPv6 addresses that are routed: the rest is local, mapped, translated or multicast. */
const globalRange = new BlockList()
globalRange.addSubnet("2000::", 3, "ipv6")

/** Tunnels to an IPv4 address that is written into these, and addresses of examples. */
const tunnelRanges = new BlockList()
for (const [address, bits] of [
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20]
] as const) {
  tunnelRanges.addSubnet(address, bits, "ipv6")
}

/** Returns whether an address is not one of the public internet. What is no address is not one either. */
export const isPrivateAddress = (address: string): boolean => {
  if (isIP(address) === 0) return true
  if (!isIPv6(address)) return privateRanges.check(address, "ipv4")
  const [plain = ""] = address.split("%")
  return !globalRange.check(plain, "ipv6") || tunnelRanges.check(plain, "ipv6")
}
