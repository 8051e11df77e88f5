/**
 * Folders that macOS keeps from the jobs of launchd: a read fails there with EPERM, and nobody is asked.
 */

const folders: ReadonlyArray<readonly [below: string, name: string]> = [
  ["Desktop", "Desktop"],
  ["Documents", "Documents"],
  ["Downloads", "Downloads"],
  ["Library/Mobile Documents", "iCloud Drive"],
  ["Library/CloudStorage", "a cloud folder"]
]

/** Returns the name of the protected folder that a real path is in. Most Macs ignore the case of names. */
export const protectedFolder = (realPath: string, home: string): string | undefined => {
  const file = realPath.toLowerCase()
  if (file.startsWith("/volumes/")) return "/Volumes"
  const [anyHome = ""] = /^\/users\/[^/]+/.exec(file) ?? []
  const homes = [home.toLowerCase(), anyHome].filter((one) => one !== "")
  const found = folders.find(([below]) => homes.some((one) => `${file}/`.startsWith(`${one}/${below.toLowerCase()}/`)))
  return found?.[1]
}
