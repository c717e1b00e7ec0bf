/** Where figures will be, while they are on their way. */
export function Skeleton({ hasDeals }: { readonly hasDeals: boolean }) {
  return (
    <div className="figures skeleton">
      <p role="status" className="unseen">
        Loading …
      </p>
      {['weekly', 'products', ...(hasDeals ? ['deals'] : [])].map((part) => (
        <div key={part} className={`card ${part}`} aria-hidden="true">
          <i />
          <i />
          <i />
        </div>
      ))}
    </div>
  )
}
