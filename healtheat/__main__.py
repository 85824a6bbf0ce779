from healtheat.cli import main

main()
