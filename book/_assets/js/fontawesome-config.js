// Font Awesome swaps every <i class="fa-..."> for an <svg>. A Play widget keeps hold of its <i> to change the icon, so
// what appears after the page has loaded must be left alone, or Play throws and the linked figure stops following.
window.FontAwesomeConfig = { ...window.FontAwesomeConfig, observeMutations: false };
