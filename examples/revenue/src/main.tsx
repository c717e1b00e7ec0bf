import '@fontsource-variable/geist/wght.css'
import './styles/base.css'
import './styles/parts.css'
import './styles/forms.css'
import './styles/door.css'
import './styles/home.css'
import './styles/figures.css'
import './styles/charts.css'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { App } from './App.tsx'

const root = document.getElementById('root')
if (root) {
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  )
}
