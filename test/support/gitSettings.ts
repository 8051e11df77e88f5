/**
 * Settings of git that run a program or change an answer, for a hostile repository.
 */
const words = (text: string): ReadonlyArray<string> => text.trim().split(/\s+/)

/** `PROGRAM` leaves a mark, and `HIDING` is a file of patterns that match everything. */
export const settings = words(`
  core.fsmonitor core.hooksPath core.pager core.editor core.sshCommand core.gitProxy core.askPass
  core.alternateRefsCommand diff.external diff.evil.command diff.evil.textconv filter.evil.clean
  filter.evil.smudge filter.evil.process credential.helper gpg.program pager.ls-files pager.diff-index
  alias.ls-files alias.diff-index alias.cat-file sequence.editor uploadpack.packObjectsHook
  remote.origin.uploadpack remote.origin.vcs interactive.diffFilter
`).map((name) => `${name}=${name.startsWith("alias") ? "!" : ""}PROGRAM`)

export const choices = words(`
  diff.relative=true diff.noprefix=true diff.mnemonicPrefix=true diff.renames=copies color.ui=always
  diff.algorithm=patience diff.ignoreSubmodules=all diff.orderFile=HIDING diff.context=0
  diff.interHunkContext=9 diff.wordRegex=. diff.submodule=log diff.noIndex=true diff.statGraphWidth=1
  diff.evil.binary=true color.diff=always core.quotePath=true core.excludesFile=HIDING
  core.attributesFile=HIDING core.ignoreCase=true core.precomposeUnicode=true core.abbrev=4 core.autocrlf=true
  core.eol=crlf core.safecrlf=true core.fileMode=false core.symlinks=false core.untrackedCache=true
  core.splitIndex=true core.sparseCheckout=true core.preloadIndex=true core.checkStat=minimal
  core.trustctime=false core.bigFileThreshold=1 core.useReplaceRefs=true submodule.recurse=true
  status.showUntrackedFiles=no status.relativePaths=false status.renames=copies index.sparse=true
  index.threads=4 feature.manyFiles=true feature.experimental=true i18n.logOutputEncoding=UTF-16
  advice.detachedHead=false extensions.worktreeConfig=true log.showSignature=true grep.patternType=perl
  attr.tree=HEAD help.autoCorrect=immediate safe.bareRepository=all transfer.credentialsInUrl=die
`)

/** A line such as `diff.evil.command=x`, for a file. */
export const configLine = (line: string): string => {
  const [, section, , subsection, key, value] = /^([^.=]+)(\.([^=]+))?\.([^.=]+)=(.*)$/s.exec(line) ?? []
  return `[${section}${subsection === undefined ? "" : ` "${subsection}"`}]\n\t${key} = "${value}"\n`
}
