/** Why the process can't start or a command can't do its work: one line, for whoever typed it. */
export class StartError extends Error {
  override readonly name = 'StartError'
}
