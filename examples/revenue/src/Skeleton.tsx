/** Where figures will be, while they are on their way. */
export function Skeleton() {
  return (
    <div className="figures">
      <p role="status" className="unseen">
        Loading …
      </p>
      <div className="card skeleton weekly" aria-hidden="true">
        <i />
        <i />
        <i />
      </div>
      <div className="card skeleton products" aria-hidden="true">
        <i />
        <i />
        <i />
      </div>
    </div>
  )
}
