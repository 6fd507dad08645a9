/** `npm run bench`: what the built servers cost beside bare Node. README.md says what is measured and how. */
import './src/main.ts'
