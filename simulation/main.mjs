/** `npm run simulate`: a fleet of devices on several ID servers, in virtual time. README.md says how. */
import './src/main.ts'
